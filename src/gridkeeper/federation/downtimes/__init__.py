"""Downtimes: one incident, many resources and services; read and written in every form of the field, judged, mapped, kept."""
