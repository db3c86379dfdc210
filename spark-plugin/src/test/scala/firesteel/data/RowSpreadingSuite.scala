package firesteel.data

import java.nio.file.Files

import org.apache.spark.ml.functions.array_to_vector
import org.apache.spark.sql.expressions.Window
import org.apache.spark.sql.functions._
import org.apache.spark.sql.{Column, DataFrame}
import org.scalatest.Assertion
import org.scalatest.funsuite.AnyFunSuite

/** The rows that tasks get from files and caches, for any order of the rows in them. */
final class RowSpreadingSuite extends AnyFunSuite with LocalSpark {
  private val rows = 4000
  private val tasks = 2
  private val byClass = Seq(LabelColumn("label", LabelKind.Class(4)))
  private val byPrice = Seq(LabelColumn("price", LabelKind.Values(1)))
  private val byBoth = byClass ++ byPrice

  /** Rows of random features, with a class, a price and a day that have nothing to do with each other. */
  private lazy val mixed: DataFrame = spark
    .range(0, rows.toLong, 1, 8)
    .select(
      col("id"),
      array((0 until 8).map(i => randn(i.toLong).cast("float")): _*).as("features"),
      floor(rand(20) * 4).cast("int").as("label"),
      (exp(randn(21)) * 100).as("price"),
      floor(rand(22) * 16).cast("int").as("day")
    )
    .localCheckpoint()

  /** The same rows, with a feature that grows from day to day. */
  private lazy val drifting: DataFrame =
    mixed.withColumn(
      "features",
      transform(col("features"), x => (x + col("day") / 4).cast("float"))
    )

  /** Runs a block on files of as many rows and a partition each, by the order of a column. */
  private def inFiles(df: DataFrame, by: Column, files: Int, format: String = "parquet")(
      block: DataFrame => Assertion
  ): Assertion = {
    val folder = Files.createTempDirectory("spread").resolve("table").toString
    val numbered = df.withColumn("file", ntile(files).over(Window.orderBy(by, col("id"))))
    numbered.coalesce(1).write.format(format).partitionBy("file").save(folder)
    // A file's costs leave no room for a second one in a partition.
    withConf("spark.sql.files.openCostInBytes" -> "134217728")(
      block(spark.read.format(format).load(folder).drop("file"))
    )
  }

  private def plan(df: DataFrame, labels: Seq[LabelColumn], spread: SpreadRows): DataPlan =
    ColumnResolver
      .resolve(df, Seq(InputRequest("x", Seq("features"))), labels)
      .copy(spread = spread)

  /** The rows of each task, and the decision about them. */
  private case class Spread(decision: String, shuffled: Boolean, taken: Seq[Seq[Seq[Any]]]) {

    /** The share of rows in each task with a label that satisfies a condition; the labels come after the features in
      * the plan.
      */
    def shares(label: Int)(fits: Double => Boolean): Seq[Double] = taken.map { rows =>
      rows.count(row => fits(row(1 + label).asInstanceOf[Double])).toDouble / rows.size
    }
  }

  private def spread(
      df: DataFrame,
      labels: Seq[LabelColumn] = byClass,
      spread: SpreadRows = SpreadRows.Auto,
      tasks: Int = tasks
  ): Spread = {
    val job = PartitionReader.runTasks(df, plan(df, labels, spread), tasks)(Pulled.of)
    val lineage = job.rdd.toDebugString
    val taken = job.rdd.collect().toSeq.map(_.rows)
    assert(taken.size == tasks)
    Spread(job.decisions.mkString, lineage.contains("ShuffledRowRDD"), taken)
  }

  /** Checks that tasks have as many rows, and every class in about the same share. */
  private def assertFair(found: Spread): Assertion = {
    val sizes = found.taken.map(_.size)
    assert(sizes.max <= 1.11 * sizes.sum / sizes.size, sizes)
    for (value <- 0 until 4) {
      val shares = found.shares(0)(_ == value)
      assert(shares.max - shares.min < 0.1, s"class $value: $shares")
    }
    succeed
  }

  private def assertMended(found: Spread, why: String): Assertion = {
    assert(found.shuffled, found.decision)
    assert(found.decision.startsWith(s"rows were shuffled over $tasks tasks, as the "))
    assert(found.decision.contains(why))
    assert(found.decision.endsWith("otherwise; spreadRows = never reads them in place"))
    assertFair(found)
  }

  private def assertReadInPlace(found: Spread, why: String): Assertion = {
    assert(!found.shuffled, found.decision)
    assert(found.decision.startsWith("rows were read in place, from "), found.decision)
    assert(found.decision.contains(why), found.decision)
    assertFair(found)
  }

  test("mixed rows are not shuffled, from files and from a cache") {
    val alike = "which are alike in labels and features"
    for (files <- Seq(2, 8))
      inFiles(mixed, col("id"), files) { df =>
        assertReadInPlace(spread(df), alike)
        withCache(df)(cached => assertReadInPlace(spread(cached, byBoth), alike))
      }
    inFiles(mixed, col("id"), 8, "orc")(df => assertReadInPlace(spread(df, byBoth), alike))
  }

  test("few mixed rows are not shuffled, though chance alone makes their groups differ") {
    for (seed <- 1 to 3) inFiles(mixed.orderBy(rand(seed.toLong)).limit(80), rand(seed.toLong), 4) {
      df =>
        val found = spread(df)
        assert(!found.shuffled, found.decision)
    }
  }

  test("a file for each class is shuffled, from files and from a cache") {
    val why = "the share of class "
    inFiles(mixed, col("label"), 2) { df =>
      assertMended(spread(df), why)
      withCache(df)(cached => assertMended(spread(cached), why))
    }
  }

  test("a folder for each class is shuffled") {
    val folder = Files.createTempDirectory("spread").resolve("table").toString
    mixed.coalesce(1).write.partitionBy("label").parquet(folder)
    assertMended(spread(spark.read.parquet(folder)), "the share of class ")
  }

  test("several files for each class make groups that are alike without a shuffle") {
    inFiles(mixed, col("label"), 16) { df =>
      assertReadInPlace(
        spread(df),
        "chosen so that these are alike: by size alone the share of class"
      )
    }
  }

  test("files by date are shuffled where their features drift, though their labels do not") {
    inFiles(drifting, col("day"), 2)(df => assertMended(spread(df), "of values of 'features'"))
    inFiles(drifting.withColumn("features", array_to_vector(col("features"))), col("day"), 2) {
      df =>
        assertMended(spread(df), "of values of 'features'")
        withCache(df)(cached => assertMended(spread(cached), "of values of 'features'"))
    }
  }

  test("many files by date make groups that are alike without a shuffle") {
    inFiles(drifting, col("day"), 16) { df =>
      val found = spread(df)
      assertReadInPlace(found, "")
      val means =
        found.taken.map(rows => rows.map(_.head.asInstanceOf[Seq[Float]].head).sum / rows.size)
      assert(
        math.abs(means.head - means.last) < 0.75,
        "of 2 where the first half of the days is one task's"
      )
    }
  }

  test("features whose spread grows from file to file are shuffled") {
    val louder = transform(col("features"), x => (x * pow(lit(1.2), col("day"))).cast("float"))
    inFiles(mixed.withColumn("features", louder), col("day"), 2) { df =>
      assertMended(spread(df), "the mean square of values of 'features'")
    }
  }

  test("rows in the order of a label of numbers are shuffled") {
    inFiles(mixed, col("price"), 2) { df =>
      val found = spread(df, byPrice)
      assert(found.shuffled && found.decision.contains("the mean of 'price' would differ by"))
      val dear = found.shares(0)(_ > 100)
      assert(math.abs(dear.head - dear.last) < 0.1)
    }
  }

  test("of several labels each is looked at") {
    inFiles(mixed, col("price"), 2) { df =>
      assert(!spread(df, byClass).shuffled)
      assertMended(spread(df, byBoth), "of 'price'")
    }
  }

  test("a rare class that lies in one file is shuffled") {
    val rare = mixed.withColumn("label", (col("id") % 50 === 0).cast("int"))
    inFiles(rare, col("label"), 2) { df =>
      val found = spread(df)
      assert(found.shuffled, found.decision)
      assert(found.shares(0)(_ == 1).forall(share => share > 0.01 && share < 0.03))
    }
  }

  test("files of very different sizes are shuffled") {
    val folder = Files.createTempDirectory("spread").resolve("table").toString
    mixed.where("id < 3500").coalesce(1).write.parquet(folder)
    mixed.where("id >= 3500").repartition(3).write.mode("append").parquet(folder)
    withConf("spark.sql.files.openCostInBytes" -> "134217728") {
      val found = spread(spark.read.parquet(folder))
      assert(
        found.shuffled && found.decision.endsWith("as the DataFrame's partitions differ in size")
      )
      assertFair(found)
    }
  }

  test("validation rows that lie in files of their own come to all tasks") {
    val marked = mixed.withColumn("held", col("id") >= 3000)
    inFiles(marked, col("held"), 2) { df =>
      val resolved = plan(df, byClass, SpreadRows.Auto)
        .copy(validation = Some(ValidationRows.Marked("held")))
      val job = PartitionReader.runTasks(df, resolved, tasks)(Pulled.of)
      assert(job.decisions.mkString.contains("the share of validation rows ('held') would differ"))
      for (task <- job.rdd.collect()) {
        val held = task.rows.count(_.last.toString == "1").toDouble / task.rows.size
        assert(held > 0.2 && held < 0.3)
      }
      succeed
    }
  }

  test("a repartition by number is taken as it is, also once it is cached and filtered") {
    val own = spread(mixed.repartition(tasks), spread = SpreadRows.Always)
    assert(own.decision.endsWith("as the DataFrame was repartitioned into 2"))
    assertFair(own)
    withCache(mixed.repartition(4)) { cached =>
      val filtered = spread(cached.where("id >= 0"))
      assert(filtered.decision.endsWith("as the DataFrame was repartitioned by number"))
      assertFair(filtered)
    }
  }

  test("a repartition by a column is not taken for one by number") {
    val byLabel = mixed.repartition(tasks, col("label"))
    assert(spread(byLabel).decision.contains("come neither from files nor from a cache"))
    assertFair(spread(byLabel))
    val halves = mixed.withColumn("label", col("label") % 2).repartition(tasks, col("label"))
    withCache(halves.withColumn("label", col("label")))(cached => assertFair(spread(cached)))
  }

  test("always shuffles, but for one task") {
    inFiles(mixed, col("id"), 8) { df =>
      val found = spread(df, spread = SpreadRows.Always)
      assert(found.shuffled)
      assert(found.decision == "rows were shuffled over 2 tasks, as spreadRows is always")
      val alone = spread(df, spread = SpreadRows.Always, tasks = 1)
      assert(!alone.shuffled && alone.decision.isEmpty)
    }
  }

  test("never reads rows where they lie, whatever they are and however uneven") {
    inFiles(mixed, col("label"), 2) { df =>
      val found = spread(df, spread = SpreadRows.Never)
      assert(!found.shuffled)
      assert(
        found.decision ==
          "rows were read in place, from 2 partitions by 2 tasks, as spreadRows is never"
      )
      val shares = found.shares(0)(_ < 2)
      assert(shares.min < 0.1 && shares.max > 0.9)
    }
    inFiles(mixed.where("id < 1100"), when(col("id") < 1000, 0).otherwise(col("id")), 3) { df =>
      assert(!spread(df, spread = SpreadRows.Never).shuffled)
    }
    withConf("spark.sql.adaptive.coalescePartitions.enabled" -> "false") {
      val sorted = spread(mixed.sort("label"), spread = SpreadRows.Never)
      assert(sorted.taken.map(_.map(_(1)).toSet.size).sum <= 6, "each class is in few tasks")
    }
  }

  test("fewer partitions than tasks are shuffled even by never, which says so") {
    inFiles(mixed, col("id"), 1) { df =>
      val found = spread(df, spread = SpreadRows.Never)
      assert(found.shuffled)
      assert(
        found.decision == "rows were shuffled over 2 tasks, as the DataFrame has fewer partitions (1), " +
          "though spreadRows is never"
      )
    }
  }

  test("with never one task reads a computed query in its order, partition after partition") {
    val ordered = mixed.orderBy("id").withColumn("label", col("label") + 0)
    val expected = ordered.select("features").collect().map(_.getSeq[Float](0).head).toSeq
    val taken = spread(ordered, spread = SpreadRows.Never, tasks = 1).taken.head
    assert(taken.map(_.head.asInstanceOf[Seq[Any]].head) === expected)
  }
}
