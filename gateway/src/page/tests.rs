//! Tests of the pages as text: what they say, what they never say, how they are built.
