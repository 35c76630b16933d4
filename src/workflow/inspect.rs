//! [`inspect`]: one image of an archive, in full; or the set itself.
