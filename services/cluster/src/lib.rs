//! socializioz
