// SPDX-License-Identifier: Apache-2.0
// Certificates made on the spot: an authority and what it signs.
#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace picket::net {

struct CertAndKey {
  std::string cert;
  std::string key;
};

class Authority {
 public:
  explicit Authority(const std::string& name) : key_(MakeKey()), cert_(X509_new(), X509_free) {
    Fill(cert_.get(), key_.get(), name);
    Extend(cert_.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_set_issuer_name(cert_.get(), X509_get_subject_name(cert_.get()));
    X509_sign(cert_.get(), key_.get(), EVP_sha256());
  }
  std::string Pem() const { return CertPem(cert_.get()); }
  /// `names`: "DNS:shop,IP:127.0.0.1".
  CertAndKey Issue(const std::string& name, const std::string& names) const {
    Key key = MakeKey();
    std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), X509_free);
    Fill(cert.get(), key.get(), name);
    if (!names.empty()) Extend(cert.get(), NID_subject_alt_name, names);
    X509_set_issuer_name(cert.get(), X509_get_subject_name(cert_.get()));
    X509_sign(cert.get(), key_.get(), EVP_sha256());
    return {CertPem(cert.get()), KeyPem(key.get())};
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  static Key MakeKey() { return Key(EVP_EC_gen("P-256"), EVP_PKEY_free); }
  static void Fill(X509* cert, EVP_PKEY* key, const std::string& name) {
    static long serial = 1;
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  }
  static void Extend(X509* cert, int nid, const std::string& value) {
    X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
  }
  template <class Write>
  static std::string Pem(Write write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long n = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<size_t>(n));
    BIO_free(bio);
    return out;
  }
  static std::string CertPem(X509* cert) {
    return Pem([&](BIO* bio) { PEM_write_bio_X509(bio, cert); });
  }
  static std::string KeyPem(EVP_PKEY* key) {
    return Pem([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

  Key key_;
  std::unique_ptr<X509, decltype(&X509_free)> cert_;
};

}  // namespace picket::net
