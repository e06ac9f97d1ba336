//! What the client prefers: the format by `Accept`, gzip or zstd by `Accept-Encoding` (RFC 9110, sections 12.5.1 and 12.5.3).

use hyper::header::{self, HeaderMap, HeaderName};

use crate::metrics::exposition::Format;
use crate::metrics::pieces::Encoding;

/// A weight of RFC 9110 in thousandths, 0 to 1000.
type Weight = u16;

/// Entries of one header that are looked at; a real client sends fewer than ten.
const MAX_ENTRIES: usize = 64;

/// One entry of a list header: `text/plain;version=0.0.4;q=0.5`.
struct Entry<'a> {
    value: &'a str,
    version: Option<&'a str>,
    weight: Weight,
}

fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Entry<'_>> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).take(MAX_ENTRIES).filter_map(entry)
}

/// Reads an entry; one whose weight makes no sense is left out.
fn entry(text: &str) -> Option<Entry<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let value = parts.next().filter(|value| !value.is_empty())?;
    let mut entry = Entry { value, version: None, weight: 1000 };
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim() {
            name if name.eq_ignore_ascii_case("q") => entry.weight = weight(value)?,
            name if name.eq_ignore_ascii_case("version") => entry.version = Some(value),
            _ => {}
        }
    }
    Some(entry)
}

fn weight(text: &str) -> Option<Weight> {
    let number: f32 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..=1.0).contains(&number).then_some((number * 1000.0) as Weight)
}

/// The format for a scrape: the one with the higher weight, the more specific entry where weights are equal.
/// A client that wants neither gets text, as from Prometheus's own libraries: any answer helps more than none.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let mut best = (Format::Text, 0, 0);
    for entry in entries(headers, header::ACCEPT) {
        let Some((format, specificity)) = offered(&entry) else { continue };
        if entry.weight > 0 && (entry.weight, specificity) > (best.1, best.2) {
            best = (format, entry.weight, specificity);
        }
    }
    best.0
}

/// The format that an entry asks for, and how specific it is.
fn offered(entry: &Entry<'_>) -> Option<(Format, u8)> {
    let is = |media_type: &str| entry.value.eq_ignore_ascii_case(media_type);
    if is("application/openmetrics-text") {
        // Version 0.0.1 was a draft; Prometheus asks for it as a second choice.
        return entry.version.is_none_or(|version| version == "1.0.0").then_some((Format::OpenMetrics, 3));
    }
    if is("text/plain") {
        return Some((Format::Text, 3));
    }
    match () {
        () if is("text/*") => Some((Format::Text, 2)),
        () if is("*/*") => Some((Format::Text, 1)),
        () => None,
    }
}

/// How the body is to be compressed: in the encoding with the higher weight. gzip where weights are equal, for that is
/// what Prometheus takes, and it is made once for all. `gzip;q=0` refuses it, and so does silence. zstd only by its name:
/// who takes `*` need not have heard of it.
pub(super) fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let (mut gzip, mut zstd, mut by_star, mut identity) = (None, None, None, 0);
    for entry in entries(headers, header::ACCEPT_ENCODING) {
        let is = |name: &str| entry.value.eq_ignore_ascii_case(name);
        match () {
            () if is("gzip") || is("x-gzip") => gzip = Some(entry.weight),
            () if is("zstd") => zstd = Some(entry.weight),
            () if is("*") => by_star = Some(entry.weight),
            () if is("identity") => identity = entry.weight,
            () => {}
        }
    }
    let wanted = |weight: &Weight| *weight > 0 && *weight >= identity;
    match (gzip.or(by_star).filter(wanted), zstd.filter(wanted)) {
        (Some(gzip), Some(zstd)) if zstd > gzip => Some(Encoding::Zstd),
        (Some(_), _) => Some(Encoding::Gzip),
        (None, Some(_)) => Some(Encoding::Zstd),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn accept_decides_the_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let protobuf_first = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,\
             text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;q=0.2";
        let cases = [
            (prometheus, Format::OpenMetrics),
            (protobuf_first, Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0, */*", Format::Text),
            ("application/openmetrics-text;q=0.5, text/plain;q=0.9", Format::Text),
            ("application/openmetrics-text;q=0.9, text/plain;q=0.5", Format::OpenMetrics),
            ("APPLICATION/OPENMETRICS-TEXT;Version=1.0.0;Q=0.9", Format::OpenMetrics),
            ("text/*;q=0.5, application/openmetrics-text;q=0.5", Format::OpenMetrics),
            ("application/openmetrics-text;q=nonsense", Format::Text),
            ("application/json", Format::Text),
            (";;,,=;q", Format::Text),
            ("", Format::Text),
        ];
        for (accept, expected) in cases {
            assert_eq!(format(&headers(header::ACCEPT, accept)), expected, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn accept_encoding_decides_on_compression() {
        const GZIP: Option<Encoding> = Some(Encoding::Gzip);
        const ZSTD: Option<Encoding> = Some(Encoding::Zstd);
        let cases = [
            ("gzip", GZIP),
            ("deflate, gzip;q=1.0, *;q=0.5", GZIP),
            ("zstd, br, gzip", GZIP),
            ("*", GZIP),
            ("gzip;q=0", None),
            ("gzip;q=0.000, *", None),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip;q=0.1", None),
            ("identity;q=0.5, gzip", GZIP),
            ("br", None),
            ("", None),
            ("zstd", ZSTD),
            ("zstd;q=0.9, gzip;q=0.8", ZSTD),
            ("zstd;q=0.8, gzip;q=0.9", GZIP),
            ("ZSTD;q=0.5, *;q=0.1", ZSTD),
            ("zstd;q=0, gzip", GZIP),
            ("gzip;q=0, zstd", ZSTD),
            ("identity, zstd;q=0.5", None),
        ];
        for (accept, expected) in cases {
            assert_eq!(encoding(&headers(header::ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
        assert_eq!(encoding(&HeaderMap::new()), None);
    }
}
