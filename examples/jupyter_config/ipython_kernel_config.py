"""Settings of Python kernels, for ~/.ipython/profile_default: each kernel has %leaks and %%memory."""

c = get_config()  # noqa: F821 - IPython defines it here
c.InteractiveShellApp.extensions = ["memlens"]  # as if each notebook began with %load_ext memlens
