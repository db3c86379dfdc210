"""libtorch for the CPU as a jar, which `firesteel.spark_jars()` finds here.

Spark's executors unpack it on first use; Python loads nothing of it.
"""
