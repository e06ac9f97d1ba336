//! Opens the listening socket, for both address families where the address names none.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 256;

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}{}", advice(cause))]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the operating system said.
    #[source]
    pub cause: io::Error,
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; another process has this port: stop it, or choose another address",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has this address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: choose a higher one",
        _ => "",
    }
}

/// Listens on an address; port 0 picks a free one. `[::]` takes IPv4 as well, and falls back to `0.0.0.0` where the
/// machine has no IPv6.
///
/// # Errors
/// When the address is taken, not this machine's, or not allowed.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = match open(address) {
        Err(_) if is_any_v6(address) && !has_ipv6() => open((Ipv4Addr::UNSPECIFIED, address.port()).into()),
        bound => bound,
    };
    bound.map_err(|cause| BindError { address, cause })
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Whether the kernel knows IPv6 and a socket of it can be bound.
fn has_ipv6() -> bool {
    TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the old connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot bind loopback has nothing to say")]

    use std::net::TcpStream;

    use super::*;

    #[test]
    fn the_unspecified_address_takes_both_families() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        if has_ipv6() {
            TcpStream::connect(("::1", port)).unwrap();
        }
    }

    #[test]
    fn a_taken_port_is_said_so() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let message = bind(address).unwrap_err().to_string();
        assert!(message.contains(&address.to_string()), "{message}");
        assert!(message.contains("another process has this port"), "{message}");
    }
}
