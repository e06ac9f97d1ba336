//! What a scrape shows, read from its text: nothing of how it came about is known here.

use std::collections::{BTreeMap, HashMap};

/// The values of the labels, in the order of the catalogue; those that there are not are empty.
pub(super) type Key<'a> = [&'a str; 3];

/// A scrape.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    families: HashMap<&'a str, BTreeMap<Key<'a>, f64>>,
    none: BTreeMap<Key<'a>, f64>,
}

impl<'a> Shown<'a> {
    /// Reads a body; says what cannot be, if something of Kafka's own cannot: a number that is none, or is below zero.
    pub(super) fn read(body: &'a str) -> Result<Self, String> {
        let mut families: HashMap<&str, BTreeMap<Key<'_>, f64>> = HashMap::new();
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').ok_or_else(|| format!("no value: {line}"))?;
            let value: f64 = value.parse().map_err(|_| format!("no number: {line}"))?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let may_fall = name.ends_with("_velocity");
            if name.starts_with("kafka_") && !(value.is_finite() && (value >= 0.0 || may_fall)) {
                return Err(format!("no true number: {line}"));
            }
            // No name in these tests holds a quote: what lies between quotes are the values.
            let mut key = [""; 3];
            let values = labels.split('"').skip(1).step_by(2);
            key.iter_mut().zip(values).for_each(|(place, value)| *place = value);
            if families.entry(name).or_default().insert(key, value).is_some() && !name.ends_with("_info") {
                return Err(format!("twice: {line}"));
            }
        }
        Ok(Self { families, none: BTreeMap::new() })
    }

    /// All series of a name.
    pub(super) fn all(&self, name: &str) -> &BTreeMap<Key<'a>, f64> {
        self.families.get(name).unwrap_or(&self.none)
    }

    /// One series.
    pub(super) fn get(&self, name: &str, labels: &[&str]) -> Option<f64> {
        self.all(name).get(&key(labels)).copied()
    }

    /// The series of a name whose first labels are these, with the next label.
    pub(super) fn below<'b>(&'b self, name: &str, labels: &'b [&'b str]) -> impl Iterator<Item = (&'a str, f64)> + 'b {
        let all = self.all(name).iter().filter(|(key, _)| key[..labels.len()] == *labels);
        all.map(|(key, value)| (key[labels.len()], *value))
    }
}

fn key<'a>(labels: &[&'a str]) -> Key<'a> {
    let mut key = [""; 3];
    key.iter_mut().zip(labels).for_each(|(place, label)| *place = label);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_refuses_what_cannot_be() {
        let shown = Shown::read("# HELP kafka_x y\nkafka_x{a=\"1\",b=\"2\"} 3\nkafka_up 1\n").unwrap();
        assert_eq!(shown.get("kafka_x", &["1", "2"]), Some(3.0));
        assert_eq!(shown.get("kafka_up", &[]), Some(1.0));
        assert_eq!(shown.below("kafka_x", &["1"]).collect::<Vec<_>>(), [("2", 3.0)]);
        for bad in ["kafka_x -1", "kafka_x NaN", "kafka_x +Inf", "kafka_x 1\nkafka_x 2"] {
            assert!(Shown::read(bad).is_err(), "{bad}");
        }
    }
}
