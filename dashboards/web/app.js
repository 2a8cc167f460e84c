// SPDX-License-Identifier: Apache-2.0
// The page: polls /api/picket/v1/status and draws it. Text goes in as text nodes only, never as markup.
'use strict';
(() => {
  const $ = (selector) => document.querySelector(selector);

  /** el('td', {class: 'n'}, 'text', child...) */
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    for (const child of children) if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  const pill = (text, kind) => el('span', {class: `pill ${kind || text}`}, text);
  const number = (value, digits = 1) => {
    if (value === null || value === undefined || Number.isNaN(value)) return '–';
    const size = Math.abs(value);
    for (const [limit, suffix] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']])
      if (size >= limit) return (value / (limit === 1e4 ? 1e3 : limit)).toFixed(digits) + suffix;
    return Number.isInteger(value) ? String(value) : value.toPrecision(3);
  };
  const bytes = (value) => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let i = 0;
    while (value >= 1024 && i < units.length - 1) { value /= 1024; i += 1; }
    return `${value < 10 && i > 0 ? value.toFixed(1) : Math.round(value)} ${units[i]}`;
  };
  const percent = (value, digits = 2) => Number.isFinite(value) ? `${(100 * value).toFixed(digits)} %` : '–';
  const ago = (ms, now) => {
    if (!ms) return 'never';
    const s = Math.max(0, (now - ms) / 1000);
    if (s < 120) return `${Math.round(s)} s ago`;
    return s < 7200 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3600)} h ago`;
  };

  /** table(holder, [[title, class, row => cell]], rows, empty text) */
  function table(holder, columns, rows, empty) {
    if (!rows || rows.length === 0) {
      holder.replaceChildren(el('div', {class: 'empty'}, empty || 'none'));
      return;
    }
    const head = el('tr', null, ...columns.map(([title, kind]) => el('th', kind ? {class: kind} : null, title)));
    const body = rows.map((row) => el('tr', null, ...columns.map(([, kind, cell]) => el('td', kind ? {class: kind} : null, cell(row)))));
    holder.replaceChildren(el('table', null, el('thead', null, head), el('tbody', null, ...body)));
  }
  const section = (id, visible) => { $(`#${id}`).hidden = !visible; return $(`#${id} .table, #${id} .cards`); };

  let previous = null;
  /** Items a second since the last poll, for the balances that `pick` accepts. */
  function rate(status, pick) {
    const total = (s) => s.queues.filter(pick).reduce((sum, q) => sum + q.in, 0);
    if (!previous || status.now_ms <= previous.now_ms) return NaN;
    return Math.max(0, (total(status) - total(previous)) * 1000 / (status.now_ms - previous.now_ms));
  }
  const entry = (kind) => (q) => q.component === kind;

  function tile(label, value, bad) {
    return el('div', {class: bad ? 'tile bad' : 'tile'}, el('b', null, value), el('span', null, label));
  }

  function overview(s) {
    const down = s.targets.filter((t) => t.health === 'down').length;
    const firing = s.rules.filter((r) => r.state === 'firing').length;
    const dropped = s.queues.reduce((sum, q) => sum + Object.entries(q.dropped_by_reason)
      .filter(([reason]) => reason !== 'filtered').reduce((n, [, v]) => n + v, 0), 0);
    const queued = s.queues.reduce((sum, q) => sum + q.queued, 0);
    $('#overview').replaceChildren(
      tile('targets up', `${s.targets.filter((t) => t.health === 'up').length} / ${s.targets.length}`, down > 0),
      tile('samples / s', number(rate(s, entry('store')))),
      tile('log lines / s', number(rate(s, entry('logs')))),
      tile('spans / s', number(rate(s, entry('collectors.otlp')))),
      tile('series in the window', number(s.store.series)),
      tile('alerts firing', String(firing), firing > 0),
      tile('queued', number(queued)),
      tile('dropped', number(dropped), dropped > 0),
      tile(`memory of ${bytes(s.memory.limit_bytes)} (${s.memory.state})`, bytes(s.memory.rss_bytes), s.memory.state !== 'normal'));
  }

  function canaries(s) {
    const holder = section('canaries', s.canaries.length > 0);
    holder.replaceChildren(...s.canaries.map((c) => {
      const share = Math.max(0, Math.min(1, c.log_e / c.threshold));
      const kind = c.verdict === 'bad' ? 'bad' : share > 0.43 ? 'warn' : '';
      const side = (name, x) => el('tr', null, el('td', null, name), el('td', {class: 'n'}, number(x.requests)),
        el('td', {class: 'n'}, number(x.errors)), el('td', {class: 'n'}, percent(x.requests ? x.errors / x.requests : NaN)));
      return el('div', {class: 'card'},
        el('h3', null, c.name, pill(c.verdict), c.signal_state ? pill(`signal ${c.signal_state}`, c.signal_state) : null),
        el('div', {class: 'quiet'}, c.reason || ''),
        el('div', {class: 'meter', title: 'evidence'}, el('i', {class: kind, style: `width:${100 * share}%`})),
        el('div', {class: 'quiet'}, `ln E ${c.signal_state ? 'now ' : ''}${c.log_e.toFixed(2)}, ${c.threshold.toFixed(2)} ${c.signal_state ? 'was' : 'is'} needed to act`),
        el('table', null, el('tr', null, el('th', null, ''), el('th', {class: 'n'}, 'requests'), el('th', {class: 'n'}, 'errors'), el('th', {class: 'n'}, 'rate')),
          side('canary', c.canary), side('baseline', c.baseline)));
    }));
  }

  function slos(s) {
    const seconds = (w) => parseFloat(w) * { s: 1, m: 60, h: 3600, d: 86400, w: 604800 }[w.at(-1)];
    const windows = [...new Set(s.slos.flatMap((o) => Object.keys(o.burn)))].sort((a, b) => seconds(a) - seconds(b));
    table(section('slos', s.slos.length > 0), [
      ['SLO', '', (o) => el('span', null, o.name, el('span', {class: 'quiet'}, o.service ? `  ${o.service}` : ''))],
      ['objective', 'n', (o) => `${+(100 * o.objective).toFixed(4)} %`],
      ['good / total', 'n', (o) => `${number(o.good)} / ${number(o.total)}`],
      ['budget left', 'n', (o) => el('span', o.budget_remaining < 0 ? {class: 'error'} : null, percent(o.budget_remaining, 1))],
      ...windows.map((w) => [`burn ${w}`, 'n', (o) => o.burn[w] === undefined || o.burn[w] === null ? '–' : `${o.burn[w].toFixed(1)}×`]),
      ['state', '', (o) => o.alerts && o.alerts.length ? el('span', null, ...o.alerts.map((a) => pill(a, 'firing'))) : pill('ok')],
    ], s.slos);
  }

  function lists(s) {
    table($('#targets .table'), [
      ['', '', (t) => pill(t.health)],
      ['job', '', (t) => t.pool],
      ['endpoint', 'wrap', (t) => t.url],
      ['samples', 'n', (t) => number(t.samples)],
      ['last scrape', 'n', (t) => ago(t.last_scrape_ms, s.now_ms)],
      ['took', 'n', (t) => t.duration_seconds ? `${(1000 * t.duration_seconds).toFixed(1)} ms` : '–'],
      ['last error', 'wrap error', (t) => t.last_error || ''],
    ], s.targets, 'No target is configured. The host itself is watched unless collectors.host is off.');
    table($('#rules .table'), [
      ['', '', (r) => pill(r.health === 'err' ? 'err' : r.state || r.health, r.health === 'err' ? 'err' : r.state || r.health)],
      ['group', '', (r) => r.group],
      ['rule', '', (r) => r.name],
      ['value', 'n', (r) => r.value === null || r.value === undefined ? '–' : number(r.value)],
      ['expression', 'wrap code', (r) => r.query],
      ['last error', 'wrap error', (r) => r.last_error || ''],
    ], s.rules, 'No rule file is loaded.');
    table(section('logs', s.logs.length > 0), [
      ['file', 'wrap', (f) => f.path],
      ['size', 'n', (f) => bytes(f.size_bytes)],
      ['read', 'n', (f) => bytes(f.read_bytes)],
      ['acknowledged', 'n', (f) => bytes(f.acked_bytes)],
      ['lag', 'n', (f) => bytes(f.lag_bytes)],
      ['last error', 'wrap error', (f) => f.last_error || ''],
    ], s.logs);
    table($('#queues .table'), [
      ['component', '', (q) => q.component],
      ['', 'wrap', (q) => q.instance],
      ['unit', '', (q) => q.unit],
      ['in', 'n', (q) => number(q.in)],
      ['out', 'n', (q) => number(q.out)],
      ['queued', 'n', (q) => number(q.queued)],
      ['dropped', 'n', (q) => q.dropped ? el('span', {class: 'error', title: q.last_drop || ''}, number(q.dropped)) : '0'],
      ['reasons', 'wrap', (q) => Object.entries(q.dropped_by_reason).map(([k, v]) => `${k} ${number(v)}`).join(', ')],
    ], s.queues, 'Nothing has moved yet.');
    table(section('destinations', s.destinations.length > 0), [
      ['destination', '', (d) => d.name],
      ['address', 'wrap', (d) => d.url],
      ['backlog', 'n', (d) => bytes(d.backlog_bytes)],
      ['oldest', 'n', (d) => d.oldest_seconds ? `${Math.round(d.oldest_seconds)} s` : '–'],
      ['retries', 'n', (d) => number(d.retries)],
      ['last error', 'wrap error', (d) => d.last_error || ''],
    ], s.destinations);
  }

  function banner(s) {
    const messages = [...(s.config.last_reload_ok ? [] : [`The configuration on disk was refused; the old one runs on: ${s.config.last_reload_error}`]), ...s.notices];
    $('#banner').hidden = messages.length === 0;
    $('#banner').replaceChildren(...messages.map((m) => el('div', null, m)));
  }

  async function poll() {
    try {
      const reply = await fetch('/api/picket/v1/status');
      if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
      const s = await reply.json();
      $('#node').textContent = s.node;
      $('#version').textContent = `${s.version}, up ${ago(s.started_ms, s.now_ms).replace(' ago', '')}`;
      $('#connection').textContent = 'live';
      $('#connection').className = '';
      banner(s); overview(s); canaries(s); slos(s); lists(s);
      previous = s;
      document.body.dataset.ready = 'yes';
    } catch (error) {
      $('#connection').textContent = `no answer: ${error.message}`;
      $('#connection').className = 'error';
    }
    setTimeout(poll, document.hidden ? 10000 : 2000);
  }

  const seriesName = (metric) => {
    const {__name__: name = '', ...rest} = metric;
    const labels = Object.entries(rest).map(([k, v]) => `${k}="${v}"`).join(', ');
    return labels ? `${name}{${labels}}` : name || '{}';
  };

  let graph = null;
  function draw(result) {
    const times = new Map();
    result.forEach((series, i) => series.values.forEach(([t, v]) => {
      if (!times.has(t)) times.set(t, new Array(result.length).fill(null));
      times.get(t)[i] = Number(v);
    }));
    const rows = [...times.entries()].sort((a, b) => a[0] - b[0]).map(([t, values]) => [new Date(1000 * t), ...values]);
    if (graph) graph.destroy();
    graph = null;
    $('#chart').className = rows.length ? 'drawn' : '';
    if (!rows.length) return;
    const quiet = getComputedStyle(document.documentElement).getPropertyValue('--line');
    graph = new Dygraph($('#chart'), rows, {
      labels: ['time', ...result.map((series) => seriesName(series.metric))], connectSeparatedPoints: true,
      legend: result.length > 12 ? 'never' : 'follow', labelsKMB: true, gridLineColor: quiet, axisLineColor: quiet, strokeWidth: 1.5,
      digitsAfterDecimal: 4, highlightSeriesOpts: {strokeWidth: 2.5}, axes: {x: {axisLabelWidth: 70}},
    });
  }

  async function ask(path, parameters) {
    const reply = await fetch(`/api/v1/${path}`, {method: 'POST', body: new URLSearchParams(parameters)});
    const body = await reply.json();
    if (body.status !== 'success') throw new Error(body.error);
    return body;
  }

  $('#query-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const query = $('#expr').value.trim();
    if (!query) return;
    const end = Date.now() / 1000;
    const range = Number($('#range').value);
    const message = $('#query-message');
    message.className = 'quiet';
    message.textContent = 'asking …';
    try {
      const now = await ask('query', {query, time: end});
      const data = now.data;
      const rows = data.resultType === 'vector' ? data.result.map((r) => [seriesName(r.metric), r.value ? r.value[1] : ''])
        : data.resultType === 'matrix' ? data.result.map((r) => [seriesName(r.metric), `${r.values.length} samples`]) : [[data.resultType, data.result[1]]];
      table($('#query-table'), [['series', 'wrap code', (r) => r[0]], ['value', 'n', (r) => r[1]]], rows.slice(0, 200), 'No series matched.');
      let shown = [];
      if (data.resultType === 'vector' || data.resultType === 'scalar') {
        shown = (await ask('query_range', {query, start: end - range, end, step: Math.max(1, Math.round(range / 240))})).data.result;
        draw(shown.slice(0, 100));
      } else { draw([]); }
      const notes = [...(now.warnings || []), ...(now.infos || [])];
      message.textContent = [`${rows.length} series`, ...notes].join('; ');
      history.replaceState(null, '', `#q=${encodeURIComponent(query)}`);
    } catch (error) {
      draw([]);
      $('#query-table').replaceChildren();
      message.className = 'error';
      message.textContent = error.message;
    }
  });

  const asked = new URLSearchParams(location.hash.slice(1)).get('q');
  if (asked) { $('#expr').value = asked; $('#query-form').requestSubmit(); }
  poll();
})();
