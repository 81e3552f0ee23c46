"""The daemon of each node: what is plugged in, who holds the virtual IP and what the machine is, as one report.

It sees and says; it decides nothing about licences.
"""
