"""Which extensions are installed here, what they offer, and what is wrong with them (rule G6).

points.py      entry points, read by `serve`, by `--help`, and for a name that is none of ours
faults.py      an extension, and what was found wrong with it
extensions.py  all of them: loaded when they are asked for something, each on its own
drivers.py     a driver by its name: ours, or that of one of them
offers.py      what they offer by name: commands and routers

One that is broken never breaks another: its failure is kept as a `Fault`, and it is passed over.
"""
