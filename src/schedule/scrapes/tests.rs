//! Clients of many kinds, each with a schedule of its own, laid over each other in time.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const PROMETHEUS: u64 = 1;
const BROWSER: u64 = 2;

fn client(connection: u64, host: u8, user_agent_hash: u64) -> ScrapeClient {
    ScrapeClient { connection, address: Ipv4Addr::new(10, 0, 0, host).into(), user_agent_hash }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Plays scrapes in the order of their times.
fn play(scrapes: &mut Scrapes, mut events: Vec<(u64, ScrapeClient)>) {
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().for_each(|(at, client)| scrapes.record(client, Moment(at)));
}

/// One that keeps its connection: `count` scrapes, every `period`, from `first` on, all in milliseconds.
fn kept(who: ScrapeClient, first: u64, period: u64, count: u64) -> Vec<(u64, ScrapeClient)> {
    (0..count).map(|number| (first + number * period, who)).collect()
}

/// One that connects anew for each scrape.
fn anew(who: ScrapeClient, first: u64, period: u64, count: u64) -> Vec<(u64, ScrapeClient)> {
    let on = |number| ScrapeClient { connection: who.connection + number, ..who };
    (0..count).map(|number| (first + number * period, on(number))).collect()
}

#[test]
fn a_client_counts_from_its_fourth_scrape_on() {
    for schedule in [kept, anew] {
        let mut scrapes = Scrapes::default();
        assert_eq!(scrapes.rhythm(Moment(0)), Rhythm::default());
        let mut events = schedule(client(1, 1, PROMETHEUS), 1_000, 15_000, 4);
        let fourth = events.split_off(3);
        play(&mut scrapes, events);
        assert_eq!(scrapes.rhythm(Moment(31_000)).period, None, "three times");
        play(&mut scrapes, fourth);
        let rhythm = scrapes.rhythm(Moment(47_000));
        assert_eq!(rhythm.period, Some(seconds(15)));
        assert_eq!((rhythm.reference, rhythm.last), (Some(Moment(46_000)), Some(Moment(46_000))));
    }
}

#[test]
fn a_missed_scrape_does_not_matter_and_staying_away_does() {
    let mut scrapes = Scrapes::default();
    let prometheus = client(1, 1, PROMETHEUS);
    play(&mut scrapes, kept(prometheus, 0, 15_000, 4));
    play(&mut scrapes, kept(prometheus, 75_000, 15_000, 2));
    assert_eq!(scrapes.rhythm(Moment(90_000)).period, Some(seconds(15)), "one was missed");
    assert_eq!(scrapes.rhythm(Moment(134_999)).period, Some(seconds(15)));
    let away = scrapes.rhythm(Moment(135_000));
    assert_eq!((away.period, away.reference, away.last), (None, None, Some(Moment(90_000))));
    assert!(!away.is_paused(Moment(135_000)) && away.is_paused(Moment(135_001)));
}

#[test]
fn a_changed_interval_is_learned_also_when_it_is_a_multiple() {
    let mut scrapes = Scrapes::default();
    let prometheus = client(1, 1, PROMETHEUS);
    play(&mut scrapes, kept(prometheus, 0, 15_000, 10));
    play(&mut scrapes, kept(prometheus, 165_000, 30_000, 3));
    assert_eq!(scrapes.rhythm(Moment(225_000)).period, Some(seconds(30)));
    play(&mut scrapes, kept(prometheus, 235_000, 10_000, 3));
    assert_eq!(scrapes.rhythm(Moment(255_000)).period, Some(seconds(10)));
}

#[test]
fn two_replicas_behind_one_address_are_two_clients() {
    let mut scrapes = Scrapes::default();
    let (one, other) = (client(1, 1, PROMETHEUS), client(2, 1, PROMETHEUS));
    let mut events = kept(one, 0, 15_000, 20);
    events.extend(kept(other, 7_500, 15_000, 20));
    play(&mut scrapes, events);
    let rhythm = scrapes.rhythm(Moment(293_000));
    assert_eq!(rhythm.period, Some(seconds(15)));
    assert_eq!(rhythm.reference, Some(Moment(285_000)), "the one that was chosen first");
}

#[test]
fn a_restarted_prometheus_goes_on_where_it_was() {
    let mut scrapes = Scrapes::default();
    let mut events = kept(client(1, 1, PROMETHEUS), 0, 15_000, 10);
    events.extend(kept(client(2, 1, PROMETHEUS), 7_500, 15_000, 13));
    // The first one misses two scrapes; its phase is what it was, its connection is not.
    events.extend(kept(client(3, 1, PROMETHEUS), 180_000, 15_000, 1));
    play(&mut scrapes, events);
    let rhythm = scrapes.rhythm(Moment(188_000));
    assert_eq!((rhythm.period, rhythm.reference), (Some(seconds(15)), Some(Moment(180_000))));
    // One that starts with another phase, after the old one has been forgotten, is learned anew.
    let mut scrapes = Scrapes::default();
    play(&mut scrapes, kept(client(1, 1, PROMETHEUS), 0, 15_000, 10));
    play(&mut scrapes, kept(client(2, 1, PROMETHEUS), 300_000, 15_000, 3));
    assert_eq!(scrapes.rhythm(Moment(331_000)).period, None);
    play(&mut scrapes, kept(client(2, 1, PROMETHEUS), 345_000, 15_000, 1));
    assert_eq!(scrapes.rhythm(Moment(346_000)).period, Some(seconds(15)));
}

#[test]
fn the_shortest_period_holds_and_the_reference_stays() {
    let mut scrapes = Scrapes::default();
    let mut events = kept(client(1, 1, PROMETHEUS), 0, 30_000, 20);
    events.extend(kept(client(2, 2, PROMETHEUS), 100_000, 29_000, 10));
    play(&mut scrapes, events);
    let rhythm = scrapes.rhythm(Moment(570_000));
    assert_eq!((rhythm.period, rhythm.reference), (Some(seconds(30)), Some(Moment(570_000))), "about the same");
    play(&mut scrapes, kept(client(3, 3, PROMETHEUS), 571_000, 10_000, 4));
    assert_eq!(scrapes.rhythm(Moment(601_000)).period, Some(seconds(10)));
    assert_eq!(scrapes.rhythm(Moment(601_000)).reference, Some(Moment(601_000)));
    play(&mut scrapes, kept(client(1, 1, PROMETHEUS), 600_000, 30_000, 3));
    assert_eq!(scrapes.rhythm(Moment(660_000)).period, Some(seconds(30)), "the short one went away");
}

#[test]
fn people_and_loops_without_a_rhythm_do_not_count() {
    let mut scrapes = Scrapes::default();
    let reloads = [0, 900, 2_000, 2_300, 9_000, 11_000, 40_000, 41_000, 41_200, 70_000, 76_000, 95_000];
    play(&mut scrapes, reloads.iter().map(|at| (*at, client(1, 1, BROWSER))).collect());
    let loops = [100, 5_000, 6_000, 20_000, 22_500, 31_000, 32_000, 60_000, 61_000, 88_000];
    let connections = 100..;
    play(&mut scrapes, loops.iter().zip(connections).map(|(at, n)| (100_000 + at, client(n, 2, BROWSER))).collect());
    play(&mut scrapes, kept(client(2, 3, BROWSER), 200_000, 50, 1_000));
    let rhythm = scrapes.rhythm(Moment(250_000));
    assert_eq!((rhythm.period, rhythm.last), (None, Some(Moment(249_950))), "nor does a load test");
}

#[test]
fn what_is_remembered_is_bounded_and_a_crowd_does_not_disturb() {
    let mut scrapes = Scrapes::default();
    let mut events = kept(client(1, 1, PROMETHEUS), 0, 15_000, 40);
    for number in 0..50 {
        let who = ScrapeClient { user_agent_hash: 100 + number, ..client(1_000 + number, 2, BROWSER) };
        events.extend((0..20).map(|scrape| (number * 331 + scrape * scrape * 1_700, who)));
    }
    play(&mut scrapes, events);
    assert_eq!(scrapes.rhythm(Moment(585_000)).reference, Some(Moment(585_000)));
    for number in 0..10_000 {
        let who = ScrapeClient { user_agent_hash: number, ..client(100_000 + number, 3, BROWSER) };
        scrapes.record(who, Moment(586_000 + number));
        assert!(scrapes.tracks.len() <= MAX_TRACKS);
    }
    assert_eq!(scrapes.rhythm(Moment(596_000)).period, Some(seconds(15)), "who counts is not pushed out");
    scrapes.record(client(2, 1, PROMETHEUS), Moment(86_400_000));
    assert_eq!(scrapes.tracks.len(), 2, "the stale are forgotten");
}

#[test]
fn newcomers_do_not_push_out_those_that_count() {
    let mut scrapes = Scrapes::default();
    let crowd = (0..MAX_TRACKS as u64 - 1).flat_map(|number| kept(client(number, 1, PROMETHEUS), number, 15_000, 4));
    play(&mut scrapes, crowd.collect());
    play(&mut scrapes, kept(client(9_999, 2, PROMETHEUS), 46_000, 15_000, 1));
    assert_eq!(scrapes.tracks.len(), MAX_TRACKS);
    assert_eq!(scrapes.rhythm(Moment(47_000)).period, Some(seconds(15)));
}

/// Times around a schedule: each off by up to 4.9 % of the period, some left out, but only one
/// of four in a row: every other one would be a period of its own.
fn jittered() -> impl Strategy<Value = (u64, Vec<u64>)> {
    let scrapes = proptest::collection::vec((-49_i64..=49, proptest::bool::weighted(0.1)), 8..80);
    (1_500_u64..600_000, scrapes).prop_map(|(period, scrapes)| {
        let mut times = Vec::new();
        let mut since_left_out = 0;
        for (number, (jitter, is_left_out)) in scrapes.into_iter().enumerate() {
            // The first four come, so that there is something to disturb.
            since_left_out = if is_left_out && since_left_out >= 4 { 0 } else { since_left_out + 1 };
            if since_left_out > 0 {
                let due = i64::try_from(period * (number as u64 + 1)).unwrap_or(0);
                let off = i64::try_from(period).unwrap_or(0) * jitter / 1_000;
                times.push(u64::try_from(due + off).unwrap_or(0));
            }
        }
        (period, times)
    })
}

proptest! {
    #[test]
    fn jitter_and_missed_scrapes_leave_the_period_known((period, times) in jittered(), half in any::<bool>()) {
        let mut scrapes = Scrapes::default();
        let (one, other) = (client(1, 1, PROMETHEUS), client(2, 1, PROMETHEUS));
        let mut events: Vec<_> = times.iter().map(|at| (*at, one)).collect();
        if half {
            events.extend(times.iter().map(|at| (at + period / 2, other)));
        }
        events.sort_by_key(|(at, _)| *at);
        let fourth = times[3];
        for (at, who) in events {
            scrapes.record(who, Moment(at));
            let rhythm = scrapes.rhythm(Moment(at));
            if at >= fourth {
                let learned = rhythm.period.map_or(0, |period| period.as_millis() as u64);
                prop_assert!(learned.abs_diff(period) <= period / 25 + 1, "{learned} of {period}");
                prop_assert!(times.contains(&rhythm.reference.map_or(0, |at| at.0)), "the reference stays");
            }
        }
    }

    #[test]
    fn any_scrapes_at_all_are_taken(events in proptest::collection::vec((0_u64..6, 0_u8..3, 0_u64..100_000), 0..400)) {
        let mut scrapes = Scrapes::default();
        let mut at = 0;
        for (connection, host, pause) in events {
            at += pause;
            scrapes.record(client(connection, host, PROMETHEUS), Moment(at));
            let rhythm = scrapes.rhythm(Moment(at));
            prop_assert_eq!(rhythm.last, Some(Moment(at)));
            prop_assert_eq!(rhythm.period.is_some(), rhythm.reference.is_some());
            let is_sane = |period: Duration| (SHORTEST_PERIOD..=LONGEST_PERIOD + seconds(90)).contains(&period);
            prop_assert!(rhythm.period.is_none_or(is_sane), "{:?}", rhythm.period);
        }
    }
}
