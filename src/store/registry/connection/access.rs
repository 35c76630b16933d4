//! [`Access`]: what a request may do, as a token scope says it.
//!
//! **Invariants.** The scopes of one access are always the same texts in the same order, so that they can be a key.
//!
//! *Not here:* how a token for them is got (`token`).

use crate::image::Repository;

/// What a request may do. Repositories stand here as paths, such as `library/nginx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Nothing that belongs to a repository: `/v2/` itself.
    None,
    /// Listing the repositories of the registry.
    Catalog,
    /// Reading from a repository.
    Pull(String),
    /// Reading from and writing to a repository.
    Push(String),
    /// Writing to one repository what another one holds.
    Mount {
        /// The repository that holds it.
        from: String,
        /// The repository that gets it.
        to: String,
    },
}

impl Access {
    /// Reading from `repository`.
    #[must_use]
    pub fn pull(repository: &Repository) -> Self {
        Self::Pull(repository.path().to_owned())
    }

    /// Reading from and writing to `repository`.
    #[must_use]
    pub fn push(repository: &Repository) -> Self {
        Self::Push(repository.path().to_owned())
    }

    /// Writing to `to` what `from` holds; both are in one registry.
    #[must_use]
    pub fn mount(from: &Repository, to: &Repository) -> Self {
        Self::Mount { from: from.path().to_owned(), to: to.path().to_owned() }
    }

    /// The scopes as the token protocol of docker writes them.
    #[must_use]
    pub(super) fn scopes(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Catalog => vec!["registry:catalog:*".to_owned()],
            Self::Pull(path) => vec![format!("repository:{path}:pull")],
            Self::Push(path) => vec![format!("repository:{path}:pull,push")],
            Self::Mount { from, to } if from == to => vec![format!("repository:{to}:pull,push")],
            Self::Mount { from, to } => vec![format!("repository:{to}:pull,push"), format!("repository:{from}:pull")],
        }
    }

    /// The repository whose credentials count.
    #[must_use]
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::None | Self::Catalog => None,
            Self::Pull(path) | Self::Push(path) | Self::Mount { to: path, .. } => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_asks_for_both_repositories() {
        let repository = |path| Repository::new("reg.test", path).expect("a repository");
        let mount = Access::mount(&repository("base/from"), &repository("team/to"));
        assert_eq!(mount.scopes(), ["repository:team/to:pull,push", "repository:base/from:pull"]);
        assert_eq!(mount.repository(), Some("team/to"));
        assert_eq!(Access::mount(&repository("a"), &repository("a")).scopes(), Access::push(&repository("a")).scopes());
        assert_eq!(Access::pull(&repository("a/b")).scopes(), ["repository:a/b:pull"]);
        assert_eq!(Access::None.scopes(), Vec::<String>::new());
    }
}
