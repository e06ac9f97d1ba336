//! Huffman codes of limited length, as deflate wants them (RFC 1951, 3.2.2).

/// The symbols of the largest alphabet.
const MAX_SYMBOLS: usize = super::symbols::LITERALS;
/// The longest code that deflate knows.
const MAX_LEN: usize = 15;

/// A code: for each symbol its bits, the first to be sent lowest, and how many.
#[derive(Debug)]
pub(super) struct Code<const N: usize> {
    pub(super) bits: [u16; N],
    /// 0 for a symbol that does not occur.
    pub(super) lens: [u8; N],
}

impl<const N: usize> Code<N> {
    pub(super) const fn new() -> Self {
        Self { bits: [0; N], lens: [0; N] }
    }

    /// The code for symbols that occur so often, none longer than `limit`. It has two symbols at least, since not every
    /// decoder takes a code of one.
    pub(super) fn build(&mut self, counts: &[u32; N], limit: usize) {
        let mut leaves = [0u64; N];
        let mut used = 0;
        for (symbol, &count) in counts.iter().enumerate() {
            // Written always and kept if it counts: nothing to predict.
            leaves[used] = u64::from(count) << 16 | symbol as u64;
            used += usize::from(count > 0);
        }
        for (symbol, _) in counts.iter().enumerate().filter(|(_, count)| **count == 0).take(2usize.saturating_sub(used))
        {
            leaves[used] = symbol as u64;
            used += 1;
        }
        let leaves = &mut leaves[..used];
        leaves.sort_unstable();
        self.lens = [0; N];
        let mut of_length = lengths(leaves, limit);
        let mut length = limit;
        for leaf in leaves.iter() {
            while of_length[length] == 0 {
                length -= 1;
            }
            of_length[length] -= 1;
            self.lens[(leaf & 0xFFFF) as usize] = length as u8;
        }
        self.assign();
    }

    /// The canonical codes of the lengths.
    pub(super) fn assign(&mut self) {
        let mut of_length = [0u16; MAX_LEN + 1];
        for &len in &self.lens {
            of_length[usize::from(len)] += 1;
        }
        of_length[0] = 0;
        let mut next = [0u16; MAX_LEN + 1];
        for len in 1..=MAX_LEN {
            next[len] = (next[len - 1] + of_length[len - 1]) << 1;
        }
        for (bits, &len) in self.bits.iter_mut().zip(&self.lens) {
            if len > 0 {
                let code = &mut next[usize::from(len)];
                *bits = code.reverse_bits() >> (16 - len);
                *code = code.wrapping_add(1);
            }
        }
    }

    /// The bits that symbols take that occur so often.
    pub(super) fn cost(&self, counts: &[u32; N]) -> u64 {
        counts.iter().zip(&self.lens).map(|(&count, &len)| u64::from(count) * u64::from(len)).sum()
    }
}

/// How many of the leaves, which lie in the order of their counts, get a code of each length: those of a Huffman tree,
/// evened out where it is deeper than the limit.
fn lengths(leaves: &[u64], limit: usize) -> [u16; MAX_LEN + 1] {
    let mut weights = [0u64; MAX_SYMBOLS];
    // Of inner nodes; leaves and inner nodes both come in the order of their weights, so the two lightest lie in front.
    let mut parents = [0u16; MAX_SYMBOLS];
    let mut leaf_parents = [0u16; MAX_SYMBOLS];
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..leaves.len() - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let of_leaf = leaves.get(leaf).map(|leaf| leaf >> 16);
            match of_leaf {
                Some(own) if inner >= node || own <= weights[inner] => {
                    weight += own;
                    leaf_parents[leaf] = node as u16;
                    leaf += 1;
                }
                _ => {
                    weight += weights[inner];
                    parents[inner] = node as u16;
                    inner += 1;
                }
            }
        }
        weights[node] = weight;
    }
    let mut depths = [0u16; MAX_SYMBOLS];
    for node in (0..leaves.len() - 2).rev() {
        depths[node] = depths[usize::from(parents[node])] + 1;
    }
    let mut of_length = [0u16; MAX_LEN + 1];
    for parent in &leaf_parents[..leaves.len()] {
        let depth = usize::from(depths[usize::from(*parent)]) + 1;
        of_length[depth.min(limit)] += 1;
    }
    even_out(&mut of_length, limit);
    of_length
}

/// Cutting codes to the limit leaves more of them than there is room for. Each step takes a code of the limit and puts it
/// beside a shorter one, which becomes a bit longer.
fn even_out(of_length: &mut [u16; MAX_LEN + 1], limit: usize) {
    let mut room: u32 = (1..=limit).map(|len| u32::from(of_length[len]) << (limit - len)).sum();
    while room > 1 << limit {
        let shorter = (1..limit).rev().find(|&len| of_length[len] > 0).unwrap_or(1);
        of_length[limit] -= 1;
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        room -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    /// Of counts that each are the sum of the two before, a Huffman tree is as deep as there are symbols.
    fn deep<const N: usize>() -> [u32; N] {
        let (mut counts, mut next) = ([0; N], (1, 1));
        for count in &mut counts {
            *count = next.0;
            next = (next.1, next.0 + next.1);
        }
        counts
    }

    fn check<const N: usize>(counts: &[u32; N], limit: usize) {
        let mut code = Code::new();
        code.build(counts, limit);
        let used = code.lens.iter().filter(|len| **len > 0);
        assert!(used.clone().all(|len| usize::from(*len) <= limit), "{:?}", code.lens);
        // No room is left, and none is taken twice.
        assert_eq!(used.map(|len| 1u32 << (limit - usize::from(*len))).sum::<u32>(), 1 << limit, "{:?}", code.lens);
        for (symbol, &count) in counts.iter().enumerate() {
            assert!(count == 0 || code.lens[symbol] > 0, "no code for {symbol}");
        }
    }

    #[test]
    fn a_code_is_complete_and_within_its_limit() {
        check(&deep::<40>(), 15);
        check(&deep::<19>(), 7);
        check(&[1; 286], 15);
        check(&[0; 30], 15);
        let mut one = [0; 30];
        one[29] = 7;
        check(&one, 15);
    }

    #[test]
    fn what_is_frequent_is_short() {
        let mut code = Code::new();
        code.build(&[1, 1, 2, 4], 15);
        assert_eq!(code.lens, [3, 3, 2, 1]);
    }
}
