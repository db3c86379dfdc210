package firesteel.plugin

import org.apache.spark.SparkConf

/** The memory outside the Java heap that Spark sets aside for an executor, by Spark's own rule. */
private[plugin] object MemoryOverhead {

  /** In bytes; that of the driver where it runs the tasks itself. */
  def of(conf: SparkConf): Long = {
    val role = if (isLocal(conf)) "driver" else "executor"
    val minimum = conf.getSizeAsMb(s"spark.$role.minMemoryOverhead", "384m")
    val overhead = conf.getOption(s"spark.$role.memoryOverhead") match {
      case Some(_) => conf.getSizeAsMb(s"spark.$role.memoryOverhead")
      case None =>
        val heap = conf.getSizeAsMb(s"spark.$role.memory", "1g")
        val share = conf.getDouble(s"spark.$role.memoryOverheadFactor", 0.1) * heap.toDouble
        math.max(share.toLong, minimum)
    }
    overhead << 20
  }

  private def isLocal(conf: SparkConf): Boolean = {
    val master = conf.get("spark.master", "local")
    master == "local" || master.startsWith("local[")
  }
}
