//! The cast shows what its guide says, at the first look and after a minute.

use super::*;
use crate::sim::demo::{GUIDE, spec};
use crate::sim::{GroupState, World};

/// The lags of a group before and after some time, over all partitions.
fn lags(world: &mut World, group: &str, step: Duration, steps: u32) -> Vec<i64> {
    (0..steps)
        .map(|_| {
            world.advance(step);
            world.group_lag(group).unwrap()
        })
        .collect()
}

fn lost(world: &World, group: &str) -> i64 {
    let commits = world.group(group).unwrap().commits();
    commits.map(|(topic, p, offset)| (world.log_start_offset(topic, p).unwrap() - offset).max(0)).sum()
}

#[test]
fn every_member_of_the_cast_plays_its_part() {
    let mut world = spec().build("127.0.0.1", &[1, 2, 3]).unwrap();
    assert_eq!(world.groups().count(), GUIDE.len());
    assert!(GUIDE.iter().all(|guide| world.group(guide.group).is_some()));
    let (stopped, losing) = (world.group_lag("reports-stopped").unwrap(), lost(&world, "archive-losing-data"));
    assert!(stopped > 100_000 && losing > 0, "seen at the first scrape: {stopped} behind, {losing} lost");

    let slow = lags(&mut world, "billing-slow", Duration::from_secs(15), 4);
    assert!(slow.windows(2).all(|pair| pair[1] > pair[0] + 50), "{slow:?}");
    let healthy = lags(&mut world, "checkout", Duration::from_secs(1), 60);
    assert!(healthy.iter().all(|lag| *lag < 300), "{healthy:?}");
    let bursty = lags(&mut world, "fraud-bursty", Duration::from_secs(1), 120);
    assert!(bursty.iter().max().unwrap() > &5_000 && bursty.iter().min().unwrap() < &100, "{bursty:?}");
    assert!(lost(&world, "archive-losing-data") > losing + 1_000);
    assert!(world.group_lag("reports-stopped").unwrap() > stopped + 3_000);
}

#[test]
fn states_members_and_commits_of_the_cast_agree() {
    let world = spec().build("127.0.0.1", &[1, 2, 3]).unwrap();
    for (name, group) in world.groups() {
        assert_eq!(group.state() == GroupState::Empty, group.members() == 0, "{name}");
    }
    assert_eq!(world.group("newsletter-empty").unwrap().commits().count(), 0);
    assert_eq!(world.group("search-kip848").unwrap().group_type(), GroupType::Consumer);
}
