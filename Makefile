# make demo: from simulator and bag to a live ROS 2 topic.  make test: every check and test.

PYTHON ?= python3
VENV := .venv
ROS_VENV := .venv-ros

# A sourced ROS 2 brings its own rclpy, made for the system's Python and its packages. Without
# one, wheels go into an environment of their own that sees the packages of the first.
ifdef AMENT_PREFIX_PATH
VENV_OPTIONS := --system-site-packages
ROS_PYTHON := $(VENV)/bin/python
ROS_READY := $(VENV)/.ready
else
ROS_PYTHON := $(ROS_VENV)/bin/python
ROS_READY := $(ROS_VENV)/.ready
endif

.PHONY: demo test lint venv clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready $(ROS_READY)
	$(VENV)/bin/python -m training.demo --output demo --ros-python $(ROS_PYTHON)

test: lint $(ROS_READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest test --ignore test/ros --numprocesses 2
	$(ROS_PYTHON) -m pytest test/ros

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

venv: $(VENV)/.ready $(ROS_READY)

$(VENV)/.ready: setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'Python 3.10 or newer is needed; name one with make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'Python lacks venv; install it with: sudo apt install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	$(VENV)/bin/python -m pip install --upgrade pip
	$(VENV)/bin/python -m pip install --editable '.[training,demo,test]'
	touch $@

$(ROS_VENV)/.ready: $(VENV)/.ready
	$(PYTHON) -m venv $(ROS_VENV)
	$(ROS_VENV)/bin/python -m pip install --upgrade pip
	$(ROS_VENV)/bin/python -m pip install $$($(VENV)/bin/python -c \
	  'from importlib.metadata import requires; print(*[r.partition(";")[0].strip() for r in requires("hrda_ros") if "ros-wheels" in r])')
	$(VENV)/bin/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' \
	  > $$($(ROS_VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')/hrda_environment.pth
	touch $@

clean:
	rm -rf $(VENV) $(ROS_VENV) demo build install log *.egg-info
