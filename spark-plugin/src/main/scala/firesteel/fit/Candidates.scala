package firesteel.fit

import firesteel.checkpoint.Fingerprint
import firesteel.cluster.{Machine, Slots}
import firesteel.plugin.Configuration
import org.apache.spark.sql.DataFrame
import org.apache.spark.{SparkConf, SparkContext}
import org.slf4j.LoggerFactory

/** The candidates of a hyperparameter search: fits of one DataFrame.
  *
  * Candidates that read the same columns in the same number of tasks train in one job, at the same time and over the same
  * rows in native memory, if there is memory for them; else in several jobs. Identical candidates are trained once.
  */
private[firesteel] object Candidates {
  private val log = LoggerFactory.getLogger("firesteel.fit.Candidates")

  /** The maximum number of fits in a job: each has a parameter server with its own threads and port. */
  private val MaxFitsPerJob = 16

  /** Trains all candidates and returns their results.
    *
    * @throws firesteel.bridge.TrainingDivergedException
    *   when all diverge
    */
  def train(df: DataFrame, plans: Seq[FitPlan]): Seq[TrainedNetwork] = {
    val results = trainAll(df, plans)
    val failures = results.flatMap(_.failure)
    failures.headOption.filter(_ => failures.size == results.size).foreach(throw _)
    results
  }

  /** Trains all candidates as [[train]] does, without a failure if all diverge. */
  def trainAll(df: DataFrame, plans: Seq[FitPlan]): Seq[TrainedNetwork] = {
    val context = FitJob.prepare(df)
    val conf = context.getConf
    val fits = plans.map { plan =>
      val sized = SizedPlan.of(plan, context)
      sized -> Fingerprint(FitFingerprint.settings(plan, sized.workers, conf)).text
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

  /** Returns the number of these fits that fit into the memory of an executor and of the driver at the same time. */
  private def perJob(fits: Seq[SizedPlan], context: SparkContext): Int = {
    val conf = context.getConf
    val slots = Slots.ofExecutor(context)
    val needs = fits.map(fit => fit -> Footprint.of(fit.plan, fit.workers))
    val inExecutor = needs.map { case (fit, need) =>
      need.inExecutor(fit.workers, fit.tasks, slots)
    }
    val onDriver = needs.map { case (fit, need) => need.onDriver(fit.plan.serverShards) }
    val limits = new FitLimits(conf, slots, Machine.here)
    val rooms = Seq(
      Configuration.CandidatesMemory.get(conf) / math.max(1L, inExecutor.max),
      limits.onDriver / math.max(1L, onDriver.max)
    )
    // The shards of all candidates would be on the same executors.
    if (fits.exists(_.plan.serverShards > 1)) 1
    else math.max(1L, (rooms :+ math.min(MaxFitsPerJob, ports(conf)).toLong).min).toInt
  }

  /** Returns the number of servers that get a port on the driver. */
  private def ports(conf: SparkConf): Int =
    if (Configuration.ServerPort.get(conf) == 0) Int.MaxValue
    else conf.getInt("spark.port.maxRetries", 16) + 1

  /** Splits a group into parts of about the same size, none larger than `most`. */
  private[firesteel] def split[A](group: Seq[A], most: Int): Seq[Seq[A]] = {
    val parts = (group.size + most - 1) / most
    (0 until parts).map { part =>
      group.slice(part * group.size / parts, (part + 1) * group.size / parts)
    }
  }

  /** Groups the items; the groups are in the order of their first members. */
  private def inOrder[A, K](items: Seq[A])(key: A => K): Seq[Seq[A]] = {
    val groups = items.groupBy(key)
    items.map(key).distinct.map(groups)
  }
}
