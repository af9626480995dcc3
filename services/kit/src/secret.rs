//! A string that cannot be printed by accident: no `Debug`, no `Display`, no `Serialize`, wiped when dropped.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A token, a client secret or a key in clear.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The secret itself; the call marks every place that sees it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};

    use super::Secret;

    // S7: does not compile once a secret can be printed or serialised.
    static_assertions::assert_not_impl_any!(Secret: Debug, Display, serde::Serialize, std::ops::Deref, AsRef<str>);
    static_assertions::assert_not_impl_any!(crate::seal::KeyRing: Debug, Display, serde::Serialize);
    static_assertions::assert_not_impl_any!(crate::grpc::tls::Certificates: Debug, Display, serde::Serialize);
}
