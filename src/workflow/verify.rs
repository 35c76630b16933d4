//! [`verify`]: is everything here, and sound?
