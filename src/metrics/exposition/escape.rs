//! Escapes: label values alike in both formats, help texts not.

/// Writes a label value: backslash, double quote and line feed are escaped, all else stands as UTF-8.
pub(super) fn write_label_value(value: &str, out: &mut Vec<u8>) {
    write_escaped(value, |byte| matches!(byte, b'\\' | b'"' | b'\n'), out);
}

/// Writes a help text for text 0.0.4, where double quotes are not escaped.
pub(super) fn write_help_text(help: &str, out: &mut Vec<u8>) {
    write_escaped(help, |byte| matches!(byte, b'\\' | b'\n'), out);
}

/// Writes a help text for OpenMetrics, where double quotes are escaped as well.
pub(super) fn write_help_openmetrics(help: &str, out: &mut Vec<u8>) {
    write_label_value(help, out);
}

/// The three special bytes are ASCII, so cutting the text at them never cuts a character.
fn write_escaped(text: &str, special: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    // Hardly any name has one. Looked for without a way out, so that many bytes are compared at a time.
    if !rest.iter().fold(false, |found, byte| found | special(*byte)) {
        out.extend_from_slice(rest);
        return;
    }
    while let Some(at) = rest.iter().position(|byte| special(*byte)) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(if rest[at] == b'\n' { b'n' } else { rest[at] });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: fn(&str, &mut Vec<u8>), text: &str) -> String {
        let mut out = Vec::new();
        write(text, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn label_values_and_help_differ() {
        let nasty = "a\"b\\c\nd é";
        assert_eq!(written(write_label_value, nasty), r#"a\"b\\c\nd é"#);
        assert_eq!(written(write_help_text, nasty), r#"a"b\\c\nd é"#);
        assert_eq!(written(write_help_openmetrics, nasty), r#"a\"b\\c\nd é"#);
        assert_eq!(written(write_label_value, ""), "");
        assert_eq!(written(write_label_value, "\\"), "\\\\");
    }
}
