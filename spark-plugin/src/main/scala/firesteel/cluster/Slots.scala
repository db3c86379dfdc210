package firesteel.cluster

import scala.annotation.tailrec

import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.{SparkConf, SparkContext}
import org.slf4j.LoggerFactory

/** The number of tasks of a fit that can run at the same time. */
private[firesteel] object Slots {
  private val log = LoggerFactory.getLogger("firesteel.cluster.Slots")
  private val PollMillis = 100L

  /** The time for which a new application waits for its executors. */
  private val StartMillis = 30000L

  /** The time for which the number of slots of a standalone cluster must have been the same. */
  private val SettledMillis = 2000L

  /** The executors of an application on YARN or Kubernetes that does not set their number. */
  private val DefaultExecutors = 2

  private val Standalone = "spark://"
  private val ExecutorCores = "spark.executor.cores"

  /** The keys of the number of executors with which dynamic allocation begins. */
  private val InitialExecutors = Seq(
    "spark.dynamicAllocation.initialExecutors",
    "spark.dynamicAllocation.minExecutors",
    "spark.executor.instances"
  )

  /** Returns the number of slots to plan a fit for.
    *
    * @param wanted
    *   the number of workers that the user set, if any
    */
  def forFit(context: SparkContext, wanted: Option[Int]): Int = {
    val conf = context.getConf
    if (isDynamic(conf)) allocated(conf, SparkPrivate.slots(context), ofExecutor(context), wanted)
    else {
      awaitExecutors(context, expected(conf, wanted))
      math.max(1, SparkPrivate.slots(context))
    }
  }

  /** Returns the slots that a fit gets under dynamic allocation. Waiting tasks bring executors, up to the limit: as
    * many as the requested workers need, else all that the limit allows. Without a limit these are the current slots,
    * or those that the application begins with.
    *
    * @param now
    *   the current number of slots
    * @param ofExecutor
    *   the number of tasks that an executor runs at once
    */
  def allocated(conf: SparkConf, now: Int, ofExecutor: Int, wanted: Option[Int]): Int = {
    val most = limit(conf).map(_ * ofExecutor)
    val first = InitialExecutors.flatMap(conf.getOption(_)).map(_.toLong * ofExecutor)
    val target =
      wanted.map(_.toLong).orElse(most).getOrElse((first :+ now.toLong :+ 1L).max)
    val granted = math.max(now.toLong, most.fold(target)(math.min(_, target)))
    math.max(1L, granted).min(Int.MaxValue.toLong).toInt
  }

  /** Returns the maximum number of slots that the application may get, if it has `now` slots. */
  def attainable(conf: SparkConf, now: Int, ofExecutor: Int): Int =
    if (!isDynamic(conf)) now
    else {
      limit(conf).fold(Int.MaxValue) { executors =>
        math.max(now.toLong, executors * ofExecutor).min(Int.MaxValue.toLong).toInt
      }
    }

  /** Returns the number of tasks that an executor runs at once: by the configuration if it is set, else by the current
    * executors. A standalone cluster gives an executor all cores of its machine unless `spark.executor.cores` is set.
    */
  def ofExecutor(context: SparkContext): Int = {
    val conf = context.getConf
    if (conf.contains(ExecutorCores) && !context.isLocal) configured(conf)
    else math.max(SparkPrivate.slotsOfExecutor(context), configured(conf))
  }

  /** Returns the number of slots that a new application should wait for, as far as its configuration determines it. */
  def expected(conf: SparkConf, wanted: Option[Int]): Int = {
    val LocalCluster = """local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*\d+\s*]""".r
    val limit = conf.get("spark.master", "local") match {
      case LocalCluster(executors, cores) =>
        Some(executors.toInt * (cores.toInt / conf.getInt("spark.task.cpus", 1)))
      case local if local.startsWith("local") => Some(1)
      case standalone if standalone.startsWith(Standalone) =>
        conf.getOption("spark.cores.max").map(_.toInt / conf.getInt("spark.task.cpus", 1))
      case _ => Some(conf.getInt("spark.executor.instances", DefaultExecutors) * configured(conf))
    }
    (wanted.toSeq ++ limit).minOption.getOrElse(Int.MaxValue)
  }

  /** Returns true if the number of executors follows from the number of waiting tasks. */
  def isDynamic(conf: SparkConf): Boolean =
    conf.getBoolean("spark.dynamicAllocation.enabled", defaultValue = false)

  /** Returns true while a fit should wait for executors: there are fewer slots than expected, the application is young,
    * and it does not run on a standalone cluster whose number of slots has settled.
    */
  private[firesteel] def isWaiting(
      conf: SparkConf,
      seen: Int,
      expected: Int,
      ageMillis: Long,
      sameMillis: Long
  ): Boolean = {
    val standalone = conf.get("spark.master", "local").startsWith(Standalone)
    val settled = standalone && seen > 0 && sameMillis >= SettledMillis
    seen < expected && ageMillis < StartMillis && !settled
  }

  private def awaitExecutors(context: SparkContext, expected: Int): Unit = {
    @tailrec
    def await(seen: Int, since: Long): Unit = {
      val (now, slots) = (System.currentTimeMillis(), SparkPrivate.slots(context))
      val changed = if (slots == seen) since else now
      if (isWaiting(context.getConf, slots, expected, now - context.startTime, now - changed)) {
        if (slots != seen) log.info(s"The fit is waiting for executors; $slots slots so far")
        Thread.sleep(PollMillis)
        await(slots, changed)
      }
    }
    await(seen = -1, since = 0L)
  }

  /** The maximum number of executors of dynamic allocation, if there is one. */
  private def limit(conf: SparkConf): Option[Long] =
    conf.getOption("spark.dynamicAllocation.maxExecutors").map(_.toLong).filter(_ < Int.MaxValue)

  private def configured(conf: SparkConf): Int =
    math.max(1, conf.getInt(ExecutorCores, 1) / conf.getInt("spark.task.cpus", 1))
}
