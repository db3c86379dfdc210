package firesteel.train

import firesteel.plugin.Configuration
import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.sql.DataFrame
import org.slf4j.LoggerFactory

/** Fits of one DataFrame that belong to a search for the best settings.
  *
  * Those that read the same columns in as many tasks train in one job, side by side over the same rows in native memory, as
  * far as there is memory for them; else in several jobs. Those that differ in nothing that is trained are trained once.
  */
private[train] object Candidates {
  private val log = LoggerFactory.getLogger("firesteel.train.Candidates")
  private val FloatBytes = 4L

  /** The center variable, a message and gradients, which the workers of a task share. */
  private val SharedCopies = 4L

  /** A worker's replica, two moments of its optimizer, two vectors of its strategy and two of an exchange under way. */
  private val WorkerCopies = 7L

  /** Each candidate has a parameter server with threads and a port of its own. */
  private val MostInJob = 16

  /** Trains all of them; gives what came of each.
    *
    * @throws firesteel.bridge.TrainingDivergedException
    *   when all diverge
    */
  def train(df: DataFrame, plans: Seq[FitPlan]): Seq[TrainedNetwork] = {
    val found = trainAll(df, plans)
    val failures = found.flatMap(_.failure)
    failures.headOption.filter(_ => failures.size == found.size).foreach(throw _)
    found
  }

  /** As [[train]], also when all diverge. */
  def trainAll(df: DataFrame, plans: Seq[FitPlan]): Seq[TrainedNetwork] = {
    val context = FitJob.prepare(df)
    val conf = context.getConf
    val fits = plans.map { plan =>
      val sized = SizedPlan.of(plan, context)
      sized -> Fingerprint(Fingerprint.settings(plan, sized.workers, conf)).text
    }
    val different = fits.distinctBy(_._2)
    val jobs = inOrder(different)(fit => (fit._1.plan.data, fit._1.tasks)).flatMap { same =>
      split(same, perJob(same.map(_._1), context))
    }
    log.info(
      s"${plans.size} candidates, ${different.size} of them different, in ${jobs.size} jobs"
    )
    val trained = jobs.flatMap(job => job.map(_._2).zip(FitJob.train(df, job.map(_._1)))).toMap
    fits.map { case (_, fingerprint) => trained(fingerprint) }
  }

  /** How many of these fits have room in an executor at the same time. */
  private def perJob(fits: Seq[SizedPlan], context: SparkContext): Int = {
    val conf = context.getConf
    val memory = Configuration.CandidatesMemory.get(conf)
    val largest = fits.map(bytes(_, Slots.ofExecutor(context))).max
    val room = memory / math.max(1L, largest)
    // Shards of all candidates would come to lie on the same executors.
    if (fits.exists(_.plan.serverShards > 1)) 1
    else math.max(1L, math.min(math.min(MostInJob, ports(conf)).toLong, room)).toInt
  }

  /** How many servers get a port on the driver. */
  private def ports(conf: SparkConf): Int =
    if (Configuration.ServerPort.get(conf) == 0) Int.MaxValue
    else conf.getInt("spark.port.maxRetries", 16) + 1

  /** About what a fit takes in an executor that runs so many tasks at once. */
  private[train] def bytes(fit: SizedPlan, slotsOfExecutor: Int): Long = {
    val tasks = math.min(fit.tasks, slotsOfExecutor).toLong
    val workers = (fit.workers + fit.tasks - 1) / fit.tasks
    FloatBytes * fit.plan.parameters * tasks * (SharedCopies + WorkerCopies * workers)
  }

  /** Cuts a group into parts of about the same size, none larger than `most`. */
  private[train] def split[A](group: Seq[A], most: Int): Seq[Seq[A]] = {
    val parts = (group.size + most - 1) / most
    (0 until parts).map { part =>
      group.slice(part * group.size / parts, (part + 1) * group.size / parts)
    }
  }

  /** Groups in the order of their first members. */
  private def inOrder[A, K](items: Seq[A])(key: A => K): Seq[Seq[A]] = {
    val groups = items.groupBy(key)
    items.map(key).distinct.map(groups)
  }
}
