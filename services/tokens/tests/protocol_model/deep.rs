//! The same searches with more of everything: minutes and about a gigabyte, for whoever changes the protocol:
//! `cargo test -p socializioz-tokens --features deep --test protocol_model deep`.

use crate::fate::Fate;
use crate::protocol::Lock;
use crate::{PLATFORMS, holds};

#[test]
fn two_deaths_a_disconnect_and_a_reconnect() {
    for platform in PLATFORMS {
        let fate = Fate {
            kills: 2,
            disconnects: 1,
            reconnects: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, fate);
    }
}

#[test]
fn a_death_a_flush_and_a_broken_connection() {
    for platform in PLATFORMS {
        let fate = Fate {
            kills: 1,
            flushes: 1,
            cuts: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, fate);
    }
}

#[test]
fn two_refreshes_with_a_death_and_a_lock_that_gets_lost() {
    for platform in PLATFORMS {
        let fate = Fate {
            wants: 2,
            kills: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Filter, fate);
    }
}
