//! Who may do what.

use axum::http::Method;
use nix::unistd::{Gid, Group, Uid, User};
use tokio::net::unix::UCred;

use crate::config::ControlSettings;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    /// Nothing.
    None,
    /// Ask.
    Look,
    /// Ask and change, and see what is in frames.
    Change,
}

impl Right {
    /// What a request takes.
    pub(super) fn needed(method: &Method, path: &str) -> Self {
        // A capture has what guests say to each other.
        let only_looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if only_looks && path != super::routes::CAPTURE_PATH { Self::Look } else { Self::Change }
    }
}

/// Who has which right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    /// Who runs the switch.
    itself: Uid,
    owner: Option<Uid>,
    readers: Option<Gid>,
}

impl Rights {
    pub(super) fn of(settings: &ControlSettings) -> Self {
        let (owner, readers) = (settings.access.owner, settings.readers);
        Self { itself: Uid::effective(), owner, readers }
    }

    /// What the process at the other end of a socket may, by the user and group that it had when it
    /// connected.
    pub(super) fn of_peer(&self, peer: &UCred) -> Right {
        self.of_user(Uid::from_raw(peer.uid()), Gid::from_raw(peer.gid()), is_member)
    }

    fn of_user(&self, uid: Uid, gid: Gid, is_member: impl Fn(Uid, Gid) -> bool) -> Right {
        if uid.is_root() || uid == self.itself || Some(uid) == self.owner {
            return Right::Change;
        }
        match self.readers {
            Some(readers) if gid == readers || is_member(uid, readers) => Right::Look,
            _ => Right::None,
        }
    }
}

/// Whether the system's list of groups has a user in one: a socket tells of one group of its peer
/// only.
fn is_member(uid: Uid, gid: Gid) -> bool {
    let (Ok(Some(user)), Ok(Some(group))) = (User::from_uid(uid), Group::from_gid(gid)) else {
        return false;
    };
    has_member(&group, &user.name, user.gid)
}

/// Whether a group has a user whose own group is `own`: the list does not name those whose own it
/// is.
fn has_member(group: &Group, user: &str, own: Gid) -> bool {
    own == group.gid || group.mem.iter().any(|member| member == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_owners_change_a_group_looks_and_nobody_else_does_anything() {
        let uid = Uid::from_raw;
        let gid = Gid::from_raw;
        let rights = Rights { itself: uid(7), owner: Some(uid(1000)), readers: Some(gid(50)) };
        let in_list = |user: Uid, group: Gid| (user, group) == (uid(1002), gid(50));
        for (user, group, right) in [
            (0, 0, Right::Change),
            (7, 7, Right::Change),
            (1000, 9, Right::Change),
            (1001, 50, Right::Look),
            (1002, 1002, Right::Look),
            (1003, 1003, Right::None),
        ] {
            assert_eq!(rights.of_user(uid(user), gid(group), in_list), right, "{user}:{group}");
        }
        let closed = Rights { readers: None, ..rights };
        assert_eq!(closed.of_user(uid(1001), gid(50), in_list), Right::None);
        assert!(!is_member(uid(4_000_000), gid(4_000_000)), "nobody is no member of nothing");
    }

    #[test]
    fn a_group_has_those_that_it_names_and_those_whose_own_it_is() {
        let gid = Gid::from_raw;
        let group = |number, members: &[&str]| Group {
            name: "kvm".to_owned(),
            passwd: std::ffi::CString::default(),
            gid: gid(number),
            mem: members.iter().map(|&member| member.to_owned()).collect(),
        };
        let (empty, full) = (group(50, &[]), group(50, &["eva", "adam"]));
        for (group, user, own, is_member) in [
            (&full, "eva", 1000, true),
            (&full, "adam", 1001, true),
            (&full, "kain", 1002, false),
            (&full, "ada", 1003, false),
            (&full, "kvm", 1004, false),
            (&full, "kain", 50, true),
            (&empty, "eva", 1000, false),
            (&empty, "eva", 50, true),
        ] {
            assert_eq!(has_member(group, user, gid(own)), is_member, "{user}:{own} in {group:?}");
        }
    }

    /// Of all that this machine's own list has, by the words of the list.
    #[test]
    fn the_systems_list_is_asked() {
        let root = User::from_uid(Uid::from_raw(0)).expect("a list").expect("root");
        assert!(is_member(root.uid, root.gid), "root in its own group");
        let list = std::fs::read_to_string("/etc/group").expect("a list");
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        let fields = lines.map(|line| line.split(':').collect::<Vec<_>>());
        let groups: Vec<_> = fields
            .filter_map(|of| Some((Gid::from_raw(of.get(2)?.parse().ok()?), *of.get(3)?)))
            .collect();
        for (gid, members) in groups.iter().copied() {
            if groups.iter().filter(|(other, _)| *other == gid).count() > 1 {
                continue; // Which of them is meant, the list does not say.
            }
            let names: Vec<_> = members.split(',').collect();
            assert_eq!(is_member(root.uid, gid), root.gid == gid || names.contains(&"root"));
            for user in names.into_iter().filter_map(|name| User::from_name(name).ok().flatten()) {
                assert!(is_member(user.uid, gid), "{} in {gid}", user.name);
            }
        }
    }

    #[test]
    fn what_changes_or_shows_frames_takes_more() {
        for (method, path, right) in [
            (Method::GET, "/v1/ports", Right::Look),
            (Method::GET, "/metrics", Right::Look),
            (Method::GET, "/v1/capture", Right::Change),
            (Method::POST, "/v1/reload", Right::Change),
            (Method::DELETE, "/v1/networks/a/ports/b", Right::Change),
            (Method::PUT, "/v1/networks/a/uplink", Right::Change),
        ] {
            assert_eq!(Right::needed(&method, path), right, "{method} {path}");
        }
    }
}
