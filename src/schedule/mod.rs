//! Who is asked when: pure decisions, time is an argument.
//!
//! Today every pass asks for everything at a fixed interval, and a broker that was silent is left alone until a probe
//! finds it answering again. An adaptive engine replaces [`FixedInterval`] behind the same question: when is the next pass?

mod breaker;
mod interval;
mod scrapes;

pub use breaker::Breakers;
pub use interval::FixedInterval;
pub use scrapes::{ASSUMED_SCRAPE_PERIOD, Rhythm, ScrapeClient, Scrapes};
