//! Scripts of events against expected actions and counts.
