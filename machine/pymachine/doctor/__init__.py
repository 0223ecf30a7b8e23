"""Examines this computer and machines: what is in order, what is not, and what could not be asked."""

from pymachine.doctor.computer import computer_examinations
from pymachine.doctor.examination import Diagnosis, Examination, examine
from pymachine.doctor.machines import machine_examinations

__all__ = ["Diagnosis", "Examination", "computer_examinations", "examine", "machine_examinations"]
