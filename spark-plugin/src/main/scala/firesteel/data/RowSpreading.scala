package firesteel.data

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.firesteel.SqlPrivate

/** The road to the rows of each task.
  *
  * @param road
  *   has a partition for each task
  * @param decision
  *   what was chosen about it, and why
  */
private[data] final case class SpreadRoad(road: Road, decision: Option[String])

/** Decides which rows each task gets: the DataFrame's own partitions in groups where those are
  * even and fair samples of all rows, else those of a shuffle.
  */
private[data] object RowSpreading {

  /** The largest group of partitions may have this many times the mean number of rows. */
  val Evenness = 1.1

  /** The number of partitions for each task whose features are sampled. */
  private val SampledPartitions = 16

  /** The road to a plan's columns in exactly `tasks` partitions. */
  def plan(df: DataFrame, plan: DataPlan, tasks: Int): SpreadRoad = {
    val found = new RowSpreading(df, plan, tasks).plan
    found.copy(road = RoadPlanner.exactly(found.road, tasks))
  }

  /** The partitions whose features are sampled: all, or some at even distances if there are many. */
  private def sampled(partitions: Int, tasks: Int): Set[Int] = {
    val most = math.min(partitions.toLong, SampledPartitions.toLong * tasks)
    (0L until most).map(index => (index * partitions / most).toInt).toSet
  }
}

private final class RowSpreading(df: DataFrame, data: DataPlan, tasks: Int) {
  import RowSpreading._

  private val pruned = RoadPlanner.prune(df, data.columns)
  private val physical = SqlPrivate.execution(pruned).executedPlan
  private lazy val own = RoadPlanner.execute(pruned, data.columns)

  def plan: SpreadRoad =
    if (PlanShape.isRepartitioned(physical, tasks)) {
      SpreadRoad(own, told(s"as the DataFrame was repartitioned into $tasks"))
    } else if (tasks == 1) one
    else
      data.spread match {
        case SpreadRows.Always => shuffled("as spreadRows is always")
        case SpreadRows.Never => asTheyLie
        case SpreadRows.Auto if !PlanShape.isScan(physical) =>
          shuffled("as they come neither from files nor from a cache")
        case SpreadRows.Auto if own.rdd.getNumPartitions < tasks => shuffled(tooFew)
        case SpreadRows.Auto if PlanShape.isDealt(physical) =>
          bySize(countRows, Evenness)
            .map(road => SpreadRoad(road, told("as the DataFrame was repartitioned by number")))
            .getOrElse(shuffled(uneven))
        case SpreadRows.Auto => fairly
      }

  /** All rows in one task; a plan that computes them runs in the tasks that it has, unless their order is to be kept. */
  private def one: SpreadRoad =
    if (PlanShape.isScan(physical) || data.spread == SpreadRows.Never)
      SpreadRoad(own.grouped(EvenGroups.single), None)
    else SpreadRoad(repartitioned, None)

  private def asTheyLie: SpreadRoad =
    if (own.rdd.getNumPartitions < tasks) shuffled(s"$tooFew, though spreadRows is never")
    else {
      // Counting the rows of a plan that computes them would compute them twice.
      val rows =
        if (PlanShape.isScan(physical)) countRows
        else Some(Array.fill(own.rdd.getNumPartitions)(1L))
      bySize(rows, Double.PositiveInfinity)
        .map(road => SpreadRoad(road, told("as spreadRows is never")))
        .getOrElse(shuffled("as the rows of the DataFrame's partitions were not counted"))
    }

  private def fairly: SpreadRoad = {
    val asked = StatisticsPlan.of(data)
    val found = for {
      statistics <- computeStatistics(asked)
      bySize <- EvenGroups(statistics.map(_.rows), own.locations, tasks, Evenness)
    } yield SampleDifference.of(asked, FairGroups.merged(bySize.groups, statistics)) match {
      case None =>
        SpreadRoad(own.grouped(bySize), told("which are alike in labels and features"))
      case Some(difference) =>
        FairGroups(asked, statistics, own.locations, tasks, Evenness) match {
          case Some(fair) =>
            val why = s"chosen so that these are alike: by size alone ${difference.text}"
            SpreadRoad(own.grouped(fair), told(why))
          case None =>
            shuffled(
              s"as ${difference.text} otherwise; spreadRows = never reads them where they lie"
            )
        }
    }
    found.getOrElse(shuffled(uneven))
  }

  private def bySize(rows: Option[Array[Long]], evenness: Double): Option[Road] =
    rows.flatMap(EvenGroups(_, own.locations, tasks, evenness)).map(own.grouped)

  private def shuffled(why: String): SpreadRoad =
    SpreadRoad(repartitioned, Some(s"rows were shuffled over $tasks tasks, $why"))

  private def repartitioned: Road =
    RoadPlanner.execute(pruned.repartition(tasks), data.columns)

  private def told(why: String): Option[String] = Some(
    s"rows were read where they lie, in ${own.rdd.getNumPartitions} partitions by $tasks tasks, $why"
  )

  private def tooFew: String =
    s"as the DataFrame has fewer partitions (${own.rdd.getNumPartitions})"

  private def uneven: String = "as the DataFrame's partitions differ in size"

  /** The rows of each partition, read without any column, unless the partitions are others then. */
  private def countRows: Option[Array[Long]] = {
    val counted = RoadPlanner.execute(pruned.select(), Nil) match {
      case RowRoad(rdd, _) =>
        rdd.mapPartitions(rows => Iterator.single(rows.foldLeft(0L)((n, _) => n + 1)))
      case VectorRoad(rdd, _) =>
        rdd.mapPartitions(batches => Iterator.single(batches.foldLeft(0L)(_ + _.numRows)))
    }
    collected(counted)
  }

  /** The statistics of each partition, unless the partitions are others when only some columns are read. */
  private def computeStatistics(asked: StatisticsPlan): Option[Array[RowStatistics]] = {
    val exact = only(asked.exact)
    val features = only(asked.features.map(_.name))
    if (exact.rdd.getNumPartitions != features.rdd.getNumPartitions) None
    else {
      val task = StatisticsTask(asked, exact.source, features.source)
      val looked = sampled(exact.rdd.getNumPartitions, tasks)
      val rows = exact.rows.mapPartitionsWithIndex((index, rows) => Iterator.single((index, rows)))
      collected(rows.zipPartitions(features.rows) { (all, sample) =>
        all.map { case (index, rows) =>
          task(rows, if (looked(index)) sample else Iterator.empty)
        }
      })
    }
  }

  private def only(columns: Seq[String]): Road =
    RoadPlanner.execute(RoadPlanner.prune(pruned, columns), columns)

  private def collected[A](ofPartitions: RDD[A]): Option[Array[A]] =
    if (ofPartitions.getNumPartitions == own.rdd.getNumPartitions) Some(ofPartitions.collect())
    else None
}
