//! What values take on the heap, by their capacities: bytes as they were asked of the allocator.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;

/// The two counters before what an `Arc` holds.
const ARC_COUNTERS: usize = 2 * size_of::<usize>();
/// Control bytes that a hash table has beyond one a slot.
const TABLE_TAIL: usize = 16;
/// Entries that a node of a B-tree has room for, and about how many are in it when they came in order.
const NODE_ROOM: usize = 11;
const NODE_FILL: usize = 6;
/// What a node has besides, and an inner one besides that.
const NODE_HEAD: usize = 16;
const NODE_CHILDREN: usize = (NODE_ROOM + 1) * size_of::<usize>();

/// What is behind an `Arc`, without what that owns.
pub(crate) const fn arc<T>() -> usize {
    ARC_COUNTERS + size_of::<T>()
}

/// A shared text.
pub(crate) fn text(text: &str) -> usize {
    (ARC_COUNTERS + text.len()).next_multiple_of(align_of::<usize>())
}

/// The room of a vector, without what its elements own.
pub(crate) fn vec<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}

/// The room of a queue, without what its elements own.
pub(crate) fn queue<T>(queue: &VecDeque<T>) -> usize {
    queue.capacity() * size_of::<T>()
}

/// The room of a hash table, without what its entries own: seven of eight slots can be filled, and their number is a power
/// of two.
pub(crate) fn map<K, V>(map: &HashMap<K, V>) -> usize {
    match map.capacity() {
        0 => 0,
        capacity => {
            let slots = (capacity * 8 / 7).next_power_of_two();
            (slots * size_of::<(K, V)>()).next_multiple_of(TABLE_TAIL) + slots + TABLE_TAIL
        }
    }
}

/// The nodes of a B-tree of so many entries, without what these own: about, for how full they are cannot be told.
pub(crate) const fn tree<K, V>(entries: usize) -> usize {
    let node = NODE_ROOM * (size_of::<K>() + size_of::<V>()) + NODE_HEAD;
    if entries <= NODE_ROOM {
        return if entries == 0 { 0 } else { node };
    }
    let leaves = entries.div_ceil(NODE_FILL);
    leaves * node + leaves.div_ceil(NODE_FILL) * (node + NODE_CHILDREN)
}
