//! Whose part of a cluster is shown, in words.

use crate::state::Scope;

/// The scope in words, such as `scope: broker 2 of 3`.
#[must_use]
pub fn scope_in_words(scope: &Scope) -> String {
    match scope {
        Scope::Cluster => "scope: cluster".to_owned(),
        Scope::Beside(beside) => {
            let (broker, live) = (beside.broker(), beside.live());
            let note = match (beside.is_live(), beside.is_lowest()) {
                (false, _) if live == 0 => return format!("scope: broker {broker}"),
                (false, _) => return format!("scope: broker {broker}, which is not among the {live} live ones"),
                (true, true) => ", the lowest: with what is of the cluster as a whole",
                (true, false) => "",
            };
            format!("scope: broker {broker} of {live}{note}")
        }
        Scope::Unplaced(Some(reason)) => format!("scope: {reason}"),
        Scope::Unplaced(None) => "scope: looking for the broker that this exporter is beside".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BrokerId;
    use crate::state::Beside;

    #[test]
    fn the_scope_says_which_broker_of_how_many() {
        let words = |live: &[i32]| {
            let live = live.iter().copied().map(BrokerId);
            scope_in_words(&Scope::Beside(Beside::new(BrokerId(2), live)))
        };
        assert_eq!(words(&[1, 2, 3]), "scope: broker 2 of 3");
        assert_eq!(words(&[2, 3]), "scope: broker 2 of 2, the lowest: with what is of the cluster as a whole");
        assert_eq!(words(&[1, 3]), "scope: broker 2, which is not among the 2 live ones");
        assert_eq!(words(&[]), "scope: broker 2");
        assert!(scope_in_words(&Scope::Unplaced(Some("why".into()))).ends_with("why"));
    }
}
