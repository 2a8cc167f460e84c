#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real OpenTelemetry SDK pushes over gRPC and HTTP, plain and gzip, while the backend refuses in turns and Picket is
killed: everything the SDK was told is delivered arrives once, as it was sent, and is counted under the right names."""
import sys

from support.otlp_story import Backend, Relay, free_ports, send, under_sdk


def exporters(relay):
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
    import grpc
    url = f"http://127.0.0.1:{relay.http}/v1/traces"
    return {"grpc": Grpc(endpoint=f"127.0.0.1:{relay.grpc}", insecure=True),
            "grpc-gzip": Grpc(endpoint=f"127.0.0.1:{relay.grpc}", insecure=True, compression=grpc.Compression.Gzip),
            "http": Http(endpoint=url, compression=Compression.NoCompression),
            "http-gzip": Http(endpoint=url, compression=Compression.Gzip)}


def check_health(relay):
    import grpc
    with grpc.insecure_channel(f"127.0.0.1:{relay.grpc}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", lambda b: b, lambda b: b)
        assert check(b"", timeout=10) == b"\x08\x01", "not SERVING"


def compare(sent, got):
    assert set(sent) == set(got), f"{len(set(sent) - set(got))} missing, {len(set(got) - set(sent))} unasked"
    for key, name in sent.items():
        service, span = got[key]
        assert span.name == name and span.start_time_unix_nano > 0, (key, span)
        if name == "GET /cart":
            assert span.kind == 2 and [a.key for a in span.attributes] == ["i", "list"] and span.events[0].name == "seen"
            index = span.attributes[0].value.int_value
            assert (span.status.code == 2) == (index % 10 == 0) and span.events[0].attributes[0].value.int_value == index
        else:
            assert span.kind == 3 and len(span.parent_span_id) == 8


def main():
    under_sdk()
    backend = Backend(answers=[503, 429, 502, 504])
    relay = Relay(backend.endpoint)
    check_health(relay)
    sent = {}
    for name, exporter in exporters(relay).items():
        sent |= send(exporter, name, 150)
    name = "exporters.otlp " + backend.endpoint
    books = relay.wait(lambda b: b.get(name, {}).get("out") == len(sent))
    assert books["collectors.otlp traces"]["in"] == len(sent) and books[name]["dropped"] == 0, books
    compare(sent, backend.spans())
    assert backend.requests > 4, "the refusals were not met"

    def count(books, service, code, span="GET /cart", kind="SERVER"):
        return books["calls"].get(f'traces_spanmetrics_calls_total{{service="{service}", span_kind="SPAN_KIND_{kind}", '
                                  f'span_name="{span}", status_code="STATUS_CODE_{code}"}}')
    books = relay.wait(lambda b: count(b, "http-gzip", "UNSET", "query", "CLIENT") == 150)
    for service in ("grpc", "grpc-gzip", "http", "http-gzip"):
        assert count(books, service, "ERROR") == 15 and count(books, service, "UNSET") == 135, books["calls"]

    relay.close()

    # The backend is away; Picket says yes, is killed, comes back, and delivers when the backend does.
    port = free_ports(1)[0]
    endpoint = f"http://127.0.0.1:{port}"
    away = Relay(endpoint)
    kept = {}
    for name, exporter in exporters(away).items():
        kept |= send(exporter, name, 40)
    away.kill()
    again = Relay(endpoint, spool=away.spool)
    books = again.books()["exporters.otlp " + endpoint]
    assert books["in"] == len(kept) and books["queued"] == len(kept), books
    late = Backend(port=port)
    again.wait(lambda b: b["exporters.otlp " + endpoint]["out"] == len(kept))
    compare(kept, late.spans())
    again.close()
    print(f"{len(sent)} spans over four ways arrived once and equal; {len(kept)} survived kill -9 in the spool")
    return 0


if __name__ == "__main__":
    sys.exit(main())
