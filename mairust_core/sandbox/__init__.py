"""Local processes that nobody has to trust: in every layer that the machine gives, ended at their limits.

machine.py      the layers there are, by name, and why others are missing
probing.py      a process started in all of them, once
confinement.py  what is around one plugin's command: namespaces, files, limits
spawn.py        starting it; launch.py is the last code of ours in it
process.py      asking it on an event loop; watch.py and usage.py look after what it uses
cgroups.py, delegation.py, landlock.py, seccomp.py, syscalls.py   the layers themselves
egress.py       the one way out, a proxy that judges (reach.py); relay.py leads to it inside
noted.py        what a server found out, for commands beside it
site.py         all of it for one site, from its settings
"""
