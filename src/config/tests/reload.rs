//! Clusters as reload compares them: settings, and what stands in the files that they name.

use super::*;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nfirst";
const NEW: &str = "-----BEGIN CERTIFICATE-----\nsecond";

const YAML: &str = "
clusters:
- name: files
  bootstrap_servers: ['b:1']
  tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, key_password_file: kp}
  sasl: {mechanism: SCRAM-SHA-512, username: u, password_file: pw}
- name: properties
  bootstrap_servers: ['b:1']
  kafka: {ssl.ca.location: ca2.pem, ssl.keystore.location: store.p12, ssl.crl.location: gone.crl, client.id: other.pem}
- {name: plain, bootstrap_servers: ['b:1']}
";

fn files() -> Fake {
    let fake =
        Fake::default().file("ca.pem", PEM).file("c.pem", PEM).file("k.pem", PEM).file("kp", "q").file("pw", "p");
    fake.file("ca2.pem", PEM).file("store.p12", "\u{1}\u{2}").file("other.pem", PEM)
}

/// The clusters that a reload would restart after a file was written anew.
fn changed_by(file: &str, content: &str) -> Vec<String> {
    let before = good_in(files(), YAML).0.clusters;
    let after = good_in(files().file(file, content), YAML).0.clusters;
    let pairs = before.iter().zip(&after).filter(|(before, after)| before != after);
    pairs.map(|(cluster, _)| cluster.display_name().to_owned()).collect()
}

#[test]
fn a_cluster_differs_when_a_file_that_it_names_does() {
    for file in ["ca.pem", "c.pem", "k.pem"] {
        assert_eq!(changed_by(file, NEW), ["files"], "{file}");
        assert_eq!(changed_by(file, PEM), [""; 0], "{file} with the same content");
    }
    assert_eq!(changed_by("pw", "rotated"), ["files"]);
    assert_eq!(changed_by("kp", "rotated"), ["files"]);
    assert_eq!(changed_by("ca2.pem", NEW), ["properties"]);
    assert_eq!(changed_by("store.p12", "\u{1}\u{3}"), ["properties"]);
    assert_eq!(changed_by("gone.crl", ""), ["properties"], "a file that was missing and now is there");
    assert_eq!(changed_by("other.pem", NEW), [""; 0], "no file to librdkafka");
}

#[test]
fn a_missing_file_of_a_property_is_for_librdkafka_to_say() {
    let yaml = "clusters: [{bootstrap_servers: ['b:1'], kafka: {ssl.ca.location: /no/such/ca.pem}}]";
    let (one, again) = (good(yaml), good(yaml));
    assert_eq!(one, again);
}

#[test]
fn the_same_content_under_other_names_is_another_cluster() {
    let yaml = |ca: &str, crl: &str| {
        let text = format!(
            "clusters: [{{bootstrap_servers: ['b:1'], kafka: {{ssl.ca.location: {ca}, ssl.crl.location: {crl}}}}}]"
        );
        let fake = Fake::default().file("a", "ab").file("b", "c").file("c", "a").file("d", "bc");
        good_in(fake, &text).0.clusters[0].files_digest
    };
    assert_ne!(yaml("a", "b"), yaml("c", "d"));
    assert_ne!(yaml("a", "b"), yaml("b", "a"));
    assert_eq!(yaml("a", "b"), yaml("a", "b"));
}

/// Somebody who gives a pipe gives it to librdkafka: it can be read once.
#[cfg(unix)]
#[test]
fn pipes_are_left_to_librdkafka() {
    let process = Process { property_fault: |_, _| None };
    assert!(!process.is_file(Path::new("/dev/null")) && process.is_file(Path::new("Cargo.toml")));
}
