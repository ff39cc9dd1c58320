//! Specs: one string says what to build. A builder for each method prints such strings.
//!
//! ```
//! use sonde::spec::{word, Ivf, Pq, Spec};
//! let spec: Spec = Ivf::new().nlist(512).code(Pq::new().m(48)).residual(word::Residual::Yes).refine("f16").into();
//! assert_eq!(spec.as_str(), "ivf(nlist=512, code=pq(m=48), residual=yes, refine=f16)");
//! ```
//!
//! SPDX-License-Identifier: MIT

use std::fmt;

/// What to build, as text; made from `&str`, `String` or a builder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec(String);

impl Spec {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Spec {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Spec {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Spec {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&String> for Spec {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<&Spec> for Spec {
    fn from(spec: &Spec) -> Self {
        spec.clone()
    }
}

/// The keys that were set, in the order in which they were.
#[derive(Clone, Debug, Default, PartialEq)]
struct Keys(Vec<(&'static str, String)>);

impl Keys {
    /// A key that is set twice keeps its place and takes the new value.
    fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
        self
    }

    fn print(&self, method: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match keys.is_empty() {
            true => f.write_str(method),
            false => write!(f, "{method}({})", keys.join(", ")),
        }
    }
}

/// Makes a builder print as the spec of a method.
macro_rules! prints_as {
    ($builder:ident, $method:literal) => {
        impl std::fmt::Display for $builder {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.print($method, f)
            }
        }

        impl From<$builder> for Spec {
            fn from(builder: $builder) -> Self {
                builder.to_string().into()
            }
        }
    };
}

mod methods;

pub use methods::*;
