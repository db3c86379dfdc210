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
    if (dynamic(conf)) allocated(conf, SparkPrivate.slots(context), wanted)
    else {
      awaitExecutors(context, expected(conf, wanted))
      math.max(1, SparkPrivate.slots(context))
    }
  }

  /** The slots that a fit gets under dynamic allocation: waiting tasks bring executors, as many as are wanted, up to
    * the limit.
    *
    * @param now
    *   the slots that there are
    */
  def allocated(conf: SparkConf, now: Int, wanted: Option[Int]): Int = {
    val most =
      conf.getOption("spark.dynamicAllocation.maxExecutors").map(_.toLong * perExecutor(conf))
    val target = wanted.fold(math.max(now, 1).toLong)(_.toLong)
    val granted = math.max(now.toLong, most.fold(target)(math.min(_, target)))
    math.max(1L, granted).min(Int.MaxValue.toLong).toInt
  }

  /** The slots that the application may have at some time, of which there are `now`. */
  def attainable(conf: SparkConf, now: Int): Int =
    if (!dynamic(conf)) now
    else {
      conf.getOption("spark.dynamicAllocation.maxExecutors").fold(Int.MaxValue) { executors =>
        math.max(now.toLong, executors.toLong * perExecutor(conf)).min(Int.MaxValue.toLong).toInt
      }
    }

  /** How many tasks an executor runs at once: as the executors of now do, or as the configuration says if there are none. */
  def ofExecutor(context: SparkContext): Int =
    math.max(SparkPrivate.slotsOfExecutor(context), perExecutor(context.getConf))

  /** The slots that are worth waiting for at an application's start, as far as its configuration tells. */
  def expected(conf: SparkConf, wanted: Option[Int]): Int = {
    val LocalCluster = """local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*\d+\s*]""".r
    val limit = conf.get("spark.master", "local") match {
      case LocalCluster(executors, cores) =>
        Some(executors.toInt * (cores.toInt / conf.getInt("spark.task.cpus", 1)))
      case local if local.startsWith("local") => Some(1)
      case _ => conf.getOption("spark.executor.instances").map(_.toInt * perExecutor(conf))
    }
    (wanted.toSeq ++ limit).minOption.getOrElse(1)
  }

  private def dynamic(conf: SparkConf): Boolean =
    conf.getBoolean("spark.dynamicAllocation.enabled", defaultValue = false)

  private def awaitExecutors(context: SparkContext, expected: Int): Unit = {
    def missing: Boolean = SparkPrivate.slots(context) < expected
    def starting: Boolean = System.currentTimeMillis() - context.startTime < StartMillis
    if (missing && starting) {
      log.info("Waiting for executors: {} slots of {}", SparkPrivate.slots(context), expected)
      while (missing && starting) Thread.sleep(PollMillis)
    }
  }

  private def perExecutor(conf: SparkConf): Int =
    math.max(1, conf.getInt("spark.executor.cores", 1) / conf.getInt("spark.task.cpus", 1))
}
