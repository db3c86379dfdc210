package firesteel.train

import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.{SparkConf, SparkContext}
import org.slf4j.LoggerFactory

/** How many tasks of a fit can run side by side. */
private[train] object Slots {
  private val log = LoggerFactory.getLogger("firesteel.train.Slots")
  private val PollMillis = 100L

  /** Right after an application's start executors may still be on their way: that long they are waited for. */
  private val StartMillis = 30000L

  /** The slots to plan for.
    *
    * @param wanted
    *   the workers that the user asked for, if he did
    */
  def of(context: SparkContext, wanted: Option[Int]): Int = {
    val conf = context.getConf
    if (dynamic(conf)) dynamicSlots(context, wanted)
    else if (context.isLocal) math.max(1, SparkPrivate.slots(context))
    else {
      val expected = (wanted.toSeq ++ limit(conf)).minOption
      awaitExecutors(context, expected)
      math.max(1, SparkPrivate.slots(context))
    }
  }

  private def dynamic(conf: SparkConf): Boolean =
    conf.getBoolean("spark.dynamicAllocation.enabled", defaultValue = false)

  /** With dynamic allocation waiting tasks bring executors: as many as are wanted, up to the limit. */
  private def dynamicSlots(context: SparkContext, wanted: Option[Int]): Int = {
    val conf = context.getConf
    val now = SparkPrivate.slots(context)
    val most =
      conf.getOption("spark.dynamicAllocation.maxExecutors").map(_.toLong * perExecutor(conf))
    val target = wanted.map(_.toLong).getOrElse(math.max(now.toLong, 1L))
    math
      .max(now.toLong, most.fold(target)(math.min(_, target)))
      .max(1L)
      .min(Int.MaxValue.toLong)
      .toInt
  }

  private def awaitExecutors(context: SparkContext, expected: Option[Int]): Unit = {
    def missing: Boolean =
      SparkPrivate.slots(context) < expected.getOrElse(1)
    def starting: Boolean = System.currentTimeMillis() - context.startTime < StartMillis
    if (missing && starting) {
      log.info(
        "Waiting for executors: {} slots of {}",
        SparkPrivate.slots(context),
        expected.getOrElse(1)
      )
      while (missing && starting) Thread.sleep(PollMillis)
    }
  }

  /** The slots that the configuration lets one expect, where it does. */
  private def limit(conf: SparkConf): Option[Int] = {
    val LocalCluster = """local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*\d+\s*]""".r
    val cpus = conf.getInt("spark.task.cpus", 1)
    conf.get("spark.master", "local") match {
      case LocalCluster(executors, cores) => Some(executors.toInt * (cores.toInt / cpus))
      case local if local.startsWith("local") => None
      case _ => conf.getOption("spark.executor.instances").map(_.toInt * perExecutor(conf))
    }
  }

  private def perExecutor(conf: SparkConf): Int =
    math.max(1, conf.getInt("spark.executor.cores", 1) / conf.getInt("spark.task.cpus", 1))
}
