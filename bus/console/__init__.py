"""The console: one page that shows operators the flow, what needs a person now, and the latest rejects.

It only looks: a model of `bus.control.health` comes in, HTML goes out. It answers GET alone and asks no other host.
"""
