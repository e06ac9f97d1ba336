//! Numbers that look random and are the same in every run.

/// A number from 0 up to the bound, without it, that hangs on the keys alone.
pub(super) fn draw(keys: &[u64], bound: u32) -> i64 {
    let mixed = keys.iter().fold(0x5eed, |state, key| mix(state ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    i64::try_from(mixed % u64::from(bound)).unwrap_or(0)
}

/// The finalizer of splitmix64.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
