//! Who is asked when: pure decisions, time is an argument.
//!
//! [`Scheduler`] puts it together: [`Ticks`](ticks) in step with the scrapes ([`Scrapes`]), a [`Pace`] for every topic,
//! group and topic of a group, within [`Bounds`], all stretched alike ([`Stretch`]) when they cost more than the
//! [`Budget`]. [`Breakers`] say who is left alone.

mod answers;
mod bounds;
mod breaker;
mod budget;
mod flow;
mod items;
mod pace;
mod scheduler;
mod scrapes;
mod ticks;

pub use bounds::{
    AUTO_MAX_INTERVAL, AUTO_MIN_INTERVAL, Bounds, BoundsOverride, BoundsRules, MIN_AUTO_MAX_AGE, max_age,
};
pub use breaker::{Breakers, Probe};
pub use budget::{Budget, Cost, Stretch};
pub use items::{GroupItem, TopicItem};
pub use pace::{Answer, Pace, Tick};
pub use scheduler::{Intervals, PERCENTILES, Rules, Schedule, Scheduler};
pub use scrapes::{ASSUMED_SCRAPE_PERIOD, Rhythm, ScrapeClient, Scrapes};
