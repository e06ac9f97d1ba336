//! Certificates for one test run, made with the openssl program.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::jars::succeed;
use crate::tools::scratch;

/// The password of the client's encrypted key.
pub(crate) const KEY_PASSWORD: &str = "key-secret";

/// A CA with a server's and a client's certificate, and a stranger's: self-signed and trusted by nobody.
pub(crate) struct Pki {
    dir: tempfile::TempDir,
}

impl Pki {
    /// Makes all of them, valid for two days, elliptic curves throughout.
    pub(crate) fn new() -> Self {
        let pki = Self { dir: scratch("pki") };
        pki.self_signed("ca", "/CN=kafkascope test CA");
        pki.self_signed("stranger", "/CN=stranger");
        pki.issued("server", "/CN=broker", "subjectAltName=DNS:localhost,IP:127.0.0.1");
        pki.issued("client", "/CN=scope", "extendedKeyUsage=clientAuth");
        let mut encrypt = Command::new("openssl");
        encrypt.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout"]).arg(format!("pass:{KEY_PASSWORD}"));
        encrypt.arg("-in").arg(pki.key("client")).arg("-out").arg(pki.path("client-encrypted.key"));
        succeed(encrypt, "encrypting the client's key");
        let key = std::fs::read_to_string(pki.key("server")).expect("the server's key");
        let certificate = std::fs::read_to_string(pki.certificate("server")).expect("the server's certificate");
        std::fs::write(pki.broker_store(), key + &certificate).expect("the broker's key store");
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The CA's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.certificate("ca")
    }

    /// The certificate of "server", "client" (CN `scope`), "stranger" or "ca".
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.pem"))
    }

    /// The private key that belongs to it; "client-encrypted" is the client's under [`KEY_PASSWORD`].
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.key"))
    }

    /// Key and certificate in one PEM file, as a broker wants them.
    pub(super) fn broker_store(&self) -> PathBuf {
        self.path("broker-store.pem")
    }

    fn self_signed(&self, name: &str, subject: &str) {
        succeed(request(&self.key(name), &self.certificate(name), subject, &["-x509", "-days", "2"]), name);
    }

    fn issued(&self, name: &str, subject: &str, extension: &str) {
        let (signing, extensions) = (self.path(&format!("{name}.csr")), self.path(&format!("{name}.ext")));
        succeed(request(&self.key(name), &signing, subject, &[]), name);
        std::fs::write(&extensions, extension).expect("an extension file");
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-sha256", "-CAcreateserial"]);
        sign.arg("-in").arg(signing).arg("-extfile").arg(extensions).arg("-out").arg(self.certificate(name));
        sign.arg("-CA").arg(self.ca()).arg("-CAkey").arg(self.key("ca"));
        succeed(sign, name);
    }
}

fn request(key: &Path, out: &Path, subject: &str, more: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-nodes", "-sha256", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-subj", subject]).args(more).arg("-keyout").arg(key).arg("-out").arg(out);
    command
}
