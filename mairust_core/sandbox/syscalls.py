"""System calls that no plugin has a use for, and their numbers on the two architectures we support.

Most of them need privileges that a plugin does not have; denied here, a hole in one of them is no way out.
"""

from __future__ import annotations

from dataclasses import dataclass

X86_64 = "x86_64"
AARCH64 = "aarch64"

AUDIT_ARCH = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}

CLONE = {X86_64: 56, AARCH64: 220}
CLONE3 = {X86_64: 435, AARCH64: 435}
SOCKET = {X86_64: 41, AARCH64: 198}
SOCKETPAIR = {X86_64: 53, AARCH64: 199}
IOCTL = {X86_64: 16, AARCH64: 29}
FCNTL = {X86_64: 72, AARCH64: 25}
MADVISE = {X86_64: 28, AARCH64: 233}
PREADV2 = {X86_64: 327, AARCH64: 286}
PRCTL = {X86_64: 157, AARCH64: 167}
OPEN = {X86_64: {2: 1, 257: 2}, AARCH64: {56: 2}}
"""`open` and `openat`, and which of their arguments the flags are."""
OPENAT2 = {X86_64: 437, AARCH64: 437}

_BOTH = (X86_64, AARCH64)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The number of one call on each architecture; None where there is no such call."""

    x86_64: int | None
    aarch64: int | None


NEVER: dict[str, Numbers] = {
    # other name spaces, other roots, other mounts
    "unshare": Numbers(272, 97),
    "setns": Numbers(308, 268),
    "mount": Numbers(165, 40),
    "umount2": Numbers(166, 39),
    "pivot_root": Numbers(155, 41),
    "chroot": Numbers(161, 51),
    "open_tree": Numbers(428, 428),
    "open_tree_attr": Numbers(467, 467),
    "move_mount": Numbers(429, 429),
    "fsopen": Numbers(430, 430),
    "fsconfig": Numbers(431, 431),
    "fsmount": Numbers(432, 432),
    "fspick": Numbers(433, 433),
    "mount_setattr": Numbers(442, 442),
    "name_to_handle_at": Numbers(303, 264),
    "open_by_handle_at": Numbers(304, 265),
    # other processes
    "ptrace": Numbers(101, 117),
    "process_vm_readv": Numbers(310, 270),
    "process_vm_writev": Numbers(311, 271),
    "process_madvise": Numbers(440, 440),
    "kcmp": Numbers(312, 272),
    "pidfd_getfd": Numbers(438, 438),
    "migrate_pages": Numbers(256, 238),
    "move_pages": Numbers(279, 239),
    # memory that no limit of a process counts
    "memfd_create": Numbers(319, 279),
    "memfd_secret": Numbers(447, 447),
    "shmget": Numbers(29, 194),
    "msgget": Numbers(68, 186),
    "semget": Numbers(64, 190),
    # what others of its user have made of these, whose numbers can be guessed
    "shmat": Numbers(30, 196),
    "shmctl": Numbers(31, 195),
    "msgsnd": Numbers(69, 189),
    "msgrcv": Numbers(70, 188),
    "msgctl": Numbers(71, 187),
    "semop": Numbers(65, 193),
    "semtimedop": Numbers(220, 192),
    "semctl": Numbers(66, 191),
    "mq_open": Numbers(240, 180),
    "mq_unlink": Numbers(241, 181),
    # what of a file is in the page cache, which outlives a process and is everybody's
    "fadvise64": Numbers(221, 223),
    "readahead": Numbers(187, 213),
    "mincore": Numbers(27, 232),
    "cachestat": Numbers(451, 451),
    "io_setup": Numbers(206, 0),
    "io_submit": Numbers(209, 2),
    # large, young or rarely reviewed parts of the kernel
    "bpf": Numbers(321, 280),
    "perf_event_open": Numbers(298, 241),
    "userfaultfd": Numbers(323, 282),
    "io_uring_setup": Numbers(425, 425),
    "io_uring_enter": Numbers(426, 426),
    "io_uring_register": Numbers(427, 427),
    "add_key": Numbers(248, 217),
    "request_key": Numbers(249, 218),
    "keyctl": Numbers(250, 219),
    "fanotify_init": Numbers(300, 262),
    "lookup_dcookie": Numbers(212, 18),
    "nfsservctl": Numbers(180, 42),
    "quotactl": Numbers(179, 60),
    "quotactl_fd": Numbers(443, 443),
    "ustat": Numbers(136, None),
    "uselib": Numbers(134, None),
    "modify_ldt": Numbers(154, None),
    "personality": Numbers(135, 92),
    # the machine
    "init_module": Numbers(175, 105),
    "finit_module": Numbers(313, 273),
    "delete_module": Numbers(176, 106),
    "kexec_load": Numbers(246, 104),
    "kexec_file_load": Numbers(320, 294),
    "reboot": Numbers(169, 142),
    "swapon": Numbers(167, 224),
    "swapoff": Numbers(168, 225),
    "acct": Numbers(163, 89),
    "syslog": Numbers(103, 116),
    "vhangup": Numbers(153, 58),
    "sethostname": Numbers(170, 161),
    "setdomainname": Numbers(171, 162),
    "settimeofday": Numbers(164, 170),
    "clock_settime": Numbers(227, 112),
    "clock_adjtime": Numbers(305, 266),
    "adjtimex": Numbers(159, 171),
    "ioperm": Numbers(173, None),
    "iopl": Numbers(172, None),
}

LEAVE_THE_GROUP: dict[str, Numbers] = {
    "setsid": Numbers(112, 157),
    "setpgid": Numbers(109, 154),
}
"""Denied where no process namespace ends what a process started: its group is what can be killed."""

CHANGE_ATTRIBUTES: dict[str, Numbers] = {
    "chmod": Numbers(90, None),
    "fchmod": Numbers(91, 52),
    "fchmodat": Numbers(268, 53),
    "fchmodat2": Numbers(452, 452),
    "chown": Numbers(92, None),
    "fchown": Numbers(93, 55),
    "lchown": Numbers(94, None),
    "fchownat": Numbers(260, 54),
    "utime": Numbers(132, None),
    "utimes": Numbers(235, None),
    "futimesat": Numbers(261, None),
    "utimensat": Numbers(280, 88),
    "setxattr": Numbers(188, 5),
    "lsetxattr": Numbers(189, 6),
    "fsetxattr": Numbers(190, 7),
    "setxattrat": Numbers(463, 463),
    "removexattr": Numbers(197, 14),
    "lremovexattr": Numbers(198, 15),
    "fremovexattr": Numbers(199, 16),
    "removexattrat": Numbers(466, 466),
    "file_setattr": Numbers(469, 469),
    "truncate": Numbers(76, 45),
    "inotify_add_watch": Numbers(254, 27),
}
"""Denied where no view of its own hides our files: Landlock judges only that they are opened."""

OF_A_PROCESS: dict[str, Numbers] = {
    "prlimit64": Numbers(302, 261),
    "sched_setparam": Numbers(142, 118),
    "sched_setscheduler": Numbers(144, 119),
    "sched_setattr": Numbers(314, 274),
    "sched_setaffinity": Numbers(203, 122),
}
"""Allowed for the caller itself, by the id 0: without a user of its own the server is within their reach."""
SETPRIORITY: dict[str, int] = {X86_64: 141, AARCH64: 140}
IOPRIO_SET: dict[str, int] = {X86_64: 251, AARCH64: 30}

SIGNAL: dict[str, Numbers] = {
    "kill": Numbers(62, 129),
    "tkill": Numbers(200, 130),
    "tgkill": Numbers(234, 131),
    "rt_sigqueueinfo": Numbers(129, 138),
    "rt_tgsigqueueinfo": Numbers(297, 240),
    "pidfd_send_signal": Numbers(424, 424),
}
"""Denied where nothing else keeps it from other processes of its user."""


def numbers(calls: dict[str, Numbers], arch: str) -> list[int]:
    """The numbers of these calls on an architecture, ascending."""
    assert arch in _BOTH
    found = (one.x86_64 if arch == X86_64 else one.aarch64 for one in calls.values())
    return sorted(number for number in found if number is not None)
