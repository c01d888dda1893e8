# The environment that `make` prepared: source this in bash to use `visionscaling` and the nodes.
# A ROS 2 that is already sourced stays; otherwise the one in .venv is used.
_visionscaling_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -z "${ROS_DISTRO:-}" ] || [ -z "${AMENT_PREFIX_PATH:-}" ]; then
  unset PYTHONHOME PYTHONPATH COLCON_PREFIX_PATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
  export AMENT_PREFIX_PATH="$_visionscaling_root/.venv" CMAKE_PREFIX_PATH="$_visionscaling_root/.venv"
fi
. "$_visionscaling_root/.venv/bin/activate"
. "$_visionscaling_root/install/setup.bash"
unset _visionscaling_root
