//! [`gather`]: collects the volumes of a set from media that are in one at a time.
