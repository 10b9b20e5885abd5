//! Complete files to begin with. Lines that begin with `#` and no space are defaults, written out.

use crate::Role;

pub const fn example(role: Role) -> &'static str {
    match role {
        Role::Serve => include_str!("example/serve.toml"),
        Role::ControlPlane => include_str!("example/control-plane.toml"),
        Role::Edge => include_str!("example/edge.toml"),
    }
}
