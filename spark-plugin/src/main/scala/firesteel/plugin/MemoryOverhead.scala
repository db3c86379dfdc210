package firesteel.plugin

import org.apache.spark.SparkConf

/** The memory outside the Java heap that Spark sets aside for an executor or the driver, by Spark's own rule. */
private[firesteel] object MemoryOverhead {

  /** Returns the overhead of an executor in bytes; in local mode that of the driver, which runs the tasks. */
  def ofExecutor(conf: SparkConf): Long = ofRole(conf, if (isLocal(conf)) "driver" else "executor")

  /** Returns the overhead of the driver in bytes. */
  def ofDriver(conf: SparkConf): Long = ofRole(conf, "driver")

  private def ofRole(conf: SparkConf, role: String): Long = {
    val minimum = conf.getSizeAsMb(s"spark.$role.minMemoryOverhead", "384m")
    val overhead = conf.getOption(s"spark.$role.memoryOverhead") match {
      case Some(_) => conf.getSizeAsMb(s"spark.$role.memoryOverhead")
      case None =>
        val heap = conf.getSizeAsMb(s"spark.$role.memory", "1g")
        val onKubernetes = conf.getDouble("spark.kubernetes.memoryOverheadFactor", 0.1)
        val share =
          conf.getDouble(s"spark.$role.memoryOverheadFactor", onKubernetes) * heap.toDouble
        math.max(share.toLong, minimum)
    }
    overhead << 20
  }

  /** Returns true if the driver runs the tasks itself. */
  def isLocal(conf: SparkConf): Boolean = {
    val master = conf.get("spark.master", "local")
    master == "local" || master.startsWith("local[")
  }
}
