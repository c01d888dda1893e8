"""What to do: the decision problem, policies and estimators. NumPy and standard library only."""

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.evaluation import RunningFit, SlotScore, evaluate_slot
from visionscaling_ros.control.forecast import Forecast, Forecaster
from visionscaling_ros.control.policy import POLICY_NAMES, Policy, make_policy
from visionscaling_ros.control.settings import ControlSettings

__all__ = [
    'POLICY_NAMES',
    'ControlSettings',
    'DeviceModel',
    'Forecast',
    'Forecaster',
    'Policy',
    'RunningFit',
    'SlotScore',
    'evaluate_slot',
    'make_policy',
]
