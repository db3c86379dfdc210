package firesteel.cluster

import scala.annotation.tailrec

import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.{SparkConf, SparkContext}
import org.slf4j.LoggerFactory

/** How many tasks of a fit can run side by side. */
private[firesteel] object Slots {
  private val log = LoggerFactory.getLogger("firesteel.cluster.Slots")
  private val PollMillis = 100L

  /** Right after an application's start executors may still be on their way: that long they are waited for. */
  private val StartMillis = 30000L

  /** So long the slots of a standalone cluster must have stayed the same. */
  private val SettledMillis = 2000L

  /** The executors of an application on YARN or Kubernetes that does not say how many. */
  private val DefaultExecutors = 2

  private val Standalone = "spark://"
  private val ExecutorCores = "spark.executor.cores"

  /** With how many executors dynamic allocation begins. */
  private val InitialExecutors = Seq(
    "spark.dynamicAllocation.initialExecutors",
    "spark.dynamicAllocation.minExecutors",
    "spark.executor.instances"
  )

  /** The slots to plan for.
    *
    * @param wanted
    *   the workers that the user asked for, if he did
    */
  def forFit(context: SparkContext, wanted: Option[Int]): Int = {
    val conf = context.getConf
    if (isDynamic(conf)) allocated(conf, SparkPrivate.slots(context), ofExecutor(context), wanted)
    else {
      awaitExecutors(context, expected(conf, wanted))
      math.max(1, SparkPrivate.slots(context))
    }
  }

  /** The slots that a fit gets under dynamic allocation: waiting tasks bring executors, as many as are wanted, up to the
    * limit. Where no number of workers is wanted, these are all that the limit allows; without a limit, those that there
    * are, or that the application begins with.
    *
    * @param now
    *   the slots that there are
    * @param ofExecutor
    *   how many tasks an executor runs at once
    */
  def allocated(conf: SparkConf, now: Int, ofExecutor: Int, wanted: Option[Int]): Int = {
    val most = limit(conf).map(_ * ofExecutor)
    val first = InitialExecutors.flatMap(conf.getOption(_)).map(_.toLong * ofExecutor)
    val target =
      wanted.map(_.toLong).orElse(most).getOrElse((first :+ now.toLong :+ 1L).max)
    val granted = math.max(now.toLong, most.fold(target)(math.min(_, target)))
    math.max(1L, granted).min(Int.MaxValue.toLong).toInt
  }

  /** The slots that the application may have at some time, of which there are `now`. */
  def attainable(conf: SparkConf, now: Int, ofExecutor: Int): Int =
    if (!isDynamic(conf)) now
    else {
      limit(conf).fold(Int.MaxValue) { executors =>
        math.max(now.toLong, executors * ofExecutor).min(Int.MaxValue.toLong).toInt
      }
    }

  /** How many tasks an executor runs at once: by the configuration where it says, else as the executors of now do. A
    * standalone cluster gives an executor all cores of its machine unless `spark.executor.cores` is set.
    */
  def ofExecutor(context: SparkContext): Int = {
    val conf = context.getConf
    if (conf.contains(ExecutorCores) && !context.isLocal) configured(conf)
    else math.max(SparkPrivate.slotsOfExecutor(context), configured(conf))
  }

  /** The slots that are worth waiting for at an application's start, as far as its configuration tells. */
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

  /** Whether the number of executors follows from the tasks that wait. */
  def isDynamic(conf: SparkConf): Boolean =
    conf.getBoolean("spark.dynamicAllocation.enabled", defaultValue = false)

  /** Whether a fit may have to wait: `seen` slots are less than expected, the application is young, and it is not a
    * standalone cluster whose slots have stayed the same for a while, which then has no more.
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
        if (slots != seen) log.info(s"The fit waits for executors: there are $slots slots")
        Thread.sleep(PollMillis)
        await(slots, changed)
      }
    }
    await(seen = -1, since = 0L)
  }

  /** The limit of dynamic allocation in executors, if there is one. */
  private def limit(conf: SparkConf): Option[Long] =
    conf.getOption("spark.dynamicAllocation.maxExecutors").map(_.toLong).filter(_ < Int.MaxValue)

  private def configured(conf: SparkConf): Int =
    math.max(1, conf.getInt(ExecutorCores, 1) / conf.getInt("spark.task.cpus", 1))
}
