//! The running cluster: its brokers on loopback, and the handle that controls and breaks them.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::api::Api;
use super::broker::{Context, Running, hold, listen};
use super::error::SimError;
use super::fault::{Fault, Switches};
use super::spec::Spec;
use super::topic::BrokerIndex;
use super::world::World;

/// Brokers listen on loopback only.
const HOST: &str = "127.0.0.1";

/// What the rest of the cluster makes of a broker's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Its leaderships and groups move to brokers that are up.
    pub moves: bool,
    /// It leaves the metadata; partitions that it still leads have no leader then.
    pub leaves: bool,
}

impl Outage {
    /// Nobody has noticed yet: the first seconds after a crash.
    pub const UNNOTICED: Self = Self { moves: false, leaves: false };
    /// The controller has fenced it: the state after `broker.session.timeout.ms`.
    pub const NOTICED: Self = Self { moves: true, leaves: true };
}

/// One broker's place: what stays when it is down.
#[derive(Debug)]
struct Place {
    context: Context,
    port: u16,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Up(Running),
    Down(#[expect(dead_code, reason = "owned only to keep the port for the restart")] Option<TcpSocket>),
}

/// A running simulated cluster. Must be used within a tokio runtime; dropped, it ends.
#[derive(Debug)]
pub struct Cluster {
    world: Arc<RwLock<World>>,
    places: Vec<Place>,
    clock: Mutex<Option<AbortHandle>>,
}

impl Cluster {
    /// Starts every broker on a free port.
    pub async fn start(spec: Spec) -> Result<Self, SimError> {
        spec.check()?;
        let listeners: Vec<TcpListener> =
            spec.brokers.iter().map(|broker| listener(broker.id, 0)).collect::<Result<_, _>>()?;
        let ports = listeners.iter().zip(&spec.brokers).map(|(listener, broker)| {
            listener.local_addr().map(|address| address.port()).map_err(|error| cannot_listen(broker.id, 0, error))
        });
        let ports: Vec<u16> = ports.collect::<Result<_, _>>()?;
        let world = Arc::new(RwLock::new(spec.build(HOST, &ports)?));
        let places = listeners.into_iter().zip(&spec.brokers).zip(ports).enumerate();
        let places = places.map(|(index, ((listener, broker), port))| {
            let context = Context {
                index: BrokerIndex::try_from(index).unwrap_or(BrokerIndex::MAX),
                id: broker.id,
                world: Arc::clone(&world),
                switches: Arc::new(Switches::new()),
            };
            let running = Running::spawn(listener, context.clone());
            Place { context, port, state: Mutex::new(State::Up(running)) }
        });
        Ok(Self { places: places.collect(), world, clock: Mutex::new(None) })
    }

    /// `host:port` of every broker, in the order of the spec.
    pub fn bootstrap_servers(&self) -> Vec<String> {
        self.places.iter().map(|place| format!("{HOST}:{}", place.port)).collect()
    }

    /// The facts, to read. Do not hold on to them, nor ask twice at once: brokers wait for edits, and edits for readers.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Edits the facts; all of the edit shows at once.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut World) -> R) -> R {
        edit(&mut self.world.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves the virtual clock.
    pub fn advance(&self, by: Duration) {
        self.edit(|world| world.advance(by));
    }

    /// Lets the virtual clock run with the real one, in steps of `tick`. A second call replaces the
    /// first.
    pub fn run_clock(&self, tick: Duration) {
        let world = Arc::clone(&self.world);
        let task = tokio::spawn(async move {
            let mut ticks = interval(tick.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut last = Instant::now();
            loop {
                let now = ticks.tick().await;
                // Whole milliseconds: what is cut off here counts in the next step.
                let step_ms = u64::try_from(now.saturating_duration_since(last).as_millis()).unwrap_or(u64::MAX);
                last += Duration::from_millis(step_ms);
                world.write().unwrap_or_else(PoisonError::into_inner).advance(Duration::from_millis(step_ms));
            }
        });
        self.set_clock(Some(task.abort_handle()));
    }

    fn set_clock(&self, clock: Option<AbortHandle>) {
        let old = std::mem::replace(&mut *self.clock.lock().unwrap_or_else(PoisonError::into_inner), clock);
        if let Some(old) = old {
            old.abort();
        }
    }

    /// Ends a broker: its listener and connections close. One that is down already only changes what
    /// the cluster makes of it, so [`Outage::UNNOTICED`] can be followed by [`Outage::NOTICED`].
    pub async fn kill(&self, broker: i32, outage: Outage) -> Result<(), SimError> {
        let place = self.place(broker)?;
        self.edit(|world| world.broker_down(place.context.index, outage.moves, outage.leaves));
        let running = {
            let mut state = place.state.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, State::Down(None)) {
                State::Up(running) => running,
                down @ State::Down(_) => {
                    *state = down;
                    return Ok(());
                }
            }
        };
        running.stop().await;
        let held = hold(place.port)
            .inspect_err(|error| tracing::warn!(broker, %error, "simulated broker: its port is free while it is down"));
        *place.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Down(held.ok());
        Ok(())
    }

    /// Starts a broker again on the port that it had, not frozen, without latency, work or faults. Partitions
    /// without a leader get one; others keep theirs, as in Kafka: see
    /// [`World::elect_preferred_leaders`].
    pub async fn restart(&self, broker: i32) -> Result<(), SimError> {
        let place = self.place(broker)?;
        let mut state = place.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Down(_) = &*state {
            place.context.switches.set_frozen(false);
            place.context.switches.set_latency(Duration::ZERO);
            place.context.switches.set_work(Duration::ZERO);
            place.context.switches.clear_injected();
            let running = Running::spawn(listener(broker, place.port)?, place.context.clone());
            *state = State::Up(running);
            self.edit(|world| world.broker_up(place.context.index));
        }
        Ok(())
    }

    /// Stops a broker as SIGSTOP does: connections still come about, nothing is read or answered.
    pub fn freeze(&self, broker: i32) -> Result<(), SimError> {
        self.place(broker).map(|place| place.context.switches.set_frozen(true))
    }

    /// Lets a frozen broker go on where it stopped.
    pub fn thaw(&self, broker: i32) -> Result<(), SimError> {
        self.place(broker).map(|place| place.context.switches.set_frozen(false))
    }

    /// Sets the time from a request's arrival to its answer's departure. Requests overtake nothing
    /// and do not add up: it is the network that is far away, not the broker that is slow.
    pub fn set_latency(&self, broker: i32, latency: Duration) -> Result<(), SimError> {
        self.place(broker).map(|place| place.context.switches.set_latency(latency))
    }

    /// Sets how long a broker works on each request. As in Kafka it works on one request of a connection at a time, so
    /// that requests on one connection add up and those on several do not.
    pub fn set_work(&self, broker: i32, work: Duration) -> Result<(), SimError> {
        self.place(broker).map(|place| place.context.switches.set_work(work))
    }

    /// The most requests that a broker worked on at the same time while work took time, see [`Cluster::set_work`].
    pub fn most_at_work(&self, broker: i32) -> Result<u64, SimError> {
        self.place(broker).map(|place| place.context.switches.most_at_work())
    }

    /// Lets the next `times` requests of `api` at a broker meet `fault`; faults of one API queue up.
    pub fn inject(&self, broker: i32, api: Api, fault: Fault, times: u32) -> Result<(), SimError> {
        if self.place(broker)?.context.switches.inject(api, fault, times) {
            Ok(())
        } else {
            Err(SimError::Spec(format!("too many faults wait at broker {broker}")))
        }
    }

    /// Forgets the injected faults that no request has met yet.
    pub fn clear_faults(&self, broker: i32) -> Result<(), SimError> {
        self.place(broker).map(|place| place.context.switches.clear_injected())
    }

    /// How many requests of an API a broker has read since the cluster started.
    pub fn requests(&self, broker: i32, api: Api) -> Result<u64, SimError> {
        self.place(broker).map(|place| place.context.switches.requests(api))
    }

    /// Ends everything, open connections too, and returns when it has ended.
    pub async fn stop(self) {
        self.set_clock(None);
        for place in &self.places {
            let state = {
                let mut state = place.state.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *state, State::Down(None))
            };
            if let State::Up(running) = state {
                running.stop().await;
            }
        }
    }

    fn place(&self, broker: i32) -> Result<&Place, SimError> {
        self.places.iter().find(|place| place.context.id == broker).ok_or(SimError::NoBroker(broker))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.set_clock(None);
    }
}

fn listener(broker: i32, port: u16) -> Result<TcpListener, SimError> {
    listen(port).map_err(|error| cannot_listen(broker, port, error))
}

fn cannot_listen(broker: i32, port: u16, source: std::io::Error) -> SimError {
    SimError::Listen { broker, address: format!("{HOST}:{port}"), source }
}
