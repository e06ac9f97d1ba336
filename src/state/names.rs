//! Topic names, held once: everything else refers to a topic by a small integer.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::heap;

/// A topic's place in the tables of one cluster. It stays the same while anything names the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIx(u32);

impl TopicIx {
    /// The place as an index into a column over all topics.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names to places and back. Places that nothing names any more are used again.
#[derive(Debug, Clone, Default)]
pub struct TopicNames {
    by_name: HashMap<Arc<str>, TopicIx>,
    names: Vec<Option<Arc<str>>>,
    free: Vec<TopicIx>,
}

impl TopicNames {
    /// The place of a topic, a new one if it has none yet. `None` when four billion are taken.
    pub fn intern(&mut self, name: &Arc<str>) -> Option<TopicIx> {
        if let Some(ix) = self.by_name.get(name) {
            return Some(*ix);
        }
        let ix = match self.free.pop() {
            Some(ix) => ix,
            None => {
                let ix = TopicIx(u32::try_from(self.names.len()).ok()?);
                self.names.push(None);
                ix
            }
        };
        self.names[ix.index()] = Some(name.clone());
        self.by_name.insert(name.clone(), ix);
        Some(ix)
    }

    /// The place of a topic that has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<TopicIx> {
        self.by_name.get(name).copied()
    }

    /// The topic at a place.
    #[must_use]
    pub fn name(&self, ix: TopicIx) -> Option<&Arc<str>> {
        self.names.get(ix.index())?.as_ref()
    }

    /// How many places there are, taken or free: the length of a column over all topics.
    #[must_use]
    pub fn places(&self) -> usize {
        self.names.len()
    }

    /// Whether some topic has this place.
    #[must_use]
    pub fn is_taken(&self, place: usize) -> bool {
        self.names.get(place).is_some_and(Option::is_some)
    }

    /// What they take on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let texts: usize = self.names.iter().flatten().map(|name| heap::text(name)).sum();
        heap::arc::<Self>() + heap::map(&self.by_name) + heap::vec(&self.names) + heap::vec(&self.free) + texts
    }

    /// Frees the places for which `used` is false.
    pub fn retain(&mut self, used: impl Fn(TopicIx) -> bool) {
        for (index, slot) in self.names.iter_mut().enumerate() {
            let Ok(index) = u32::try_from(index) else { break };
            let ix = TopicIx(index);
            if !used(ix)
                && let Some(name) = slot.take()
            {
                self.by_name.remove(&name);
                self.free.push(ix);
            }
        }
        // Places at the end are given back.
        while self.names.last().is_some_and(Option::is_none) {
            self.names.pop();
        }
        let places = self.names.len();
        self.free.retain(|ix| ix.index() < places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_stable_and_used_again() {
        let mut names = TopicNames::default();
        let a = names.intern(&"a".into());
        let b = names.intern(&"b".into());
        assert_ne!(a, b);
        assert_eq!(names.intern(&"a".into()), a);
        names.retain(|ix| Some(ix) == b);
        assert_eq!(names.get("a"), None);
        assert_eq!(names.get("b"), b);
        assert_eq!(names.intern(&"c".into()), a, "the freed place is taken again");
        assert_eq!(names.places(), 2);
        names.retain(|ix| Some(ix) == a);
        assert_eq!(names.places(), 1, "places at the end are given back");
        assert_ne!(names.intern(&"d".into()), a);
    }
}
