package firesteel.prediction

import java.nio.file.Files

import scala.concurrent.Await
import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.Future
import scala.concurrent.duration._

import firesteel.bridge.InvalidDataException
import firesteel.data.{CachedBatches, InputFormat, LocalSpark}
import org.apache.spark.SparkException
import org.apache.spark.ml.functions.array_to_vector
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.execution.adaptive.{AdaptiveSparkPlanExec, QueryStageExec}
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.functions._
import org.apache.spark.sql.{DataFrame, Row}
import org.scalatest.Assertion
import org.scalatest.funsuite.AnyFunSuite

final class PredictionSuite extends AnyFunSuite with LocalSpark {

  private val rows = 500
  private val model = LinearModel(1)

  private def table: DataFrame = spark
    .range(0, rows.toLong, 1, 3)
    .select(
      col("id"),
      array((0 until 5).map(i => ((col("id") * (i + 3)) % 17 / 8 - 1).cast("float")): _*)
        .as("features"),
      col("id").cast("string").as("text")
    )

  private def features(id: Long): Seq[Double] =
    (0 until 5).map(i => (((id * (i + 3)) % 17) / 8.0 - 1).toFloat.toDouble)

  private def close(found: Seq[Double], expected: Seq[Double]): Boolean =
    found.size == expected.size &&
      found.zip(expected).forall { case (a, b) => math.abs(a - b) < 1e-5 }

  /** Checks the outputs of every row with an `id`, independent of other operations. */
  private def assertPredicted(
      found: Seq[Row],
      expected: Int = rows,
      by: LinearModel = model,
      suffix: String = ""
  ): Assertion = {
    assert(found.size == expected)
    found.foreach { row =>
      val x = features(row.getAs[Number]("id").longValue)
      val names = row.schema.fieldNames.toSet
      def check(name: String)(expected: => Boolean): Assertion =
        assert(!names(name + suffix) || expected, s"$name of $row")
      check("rawPrediction")(
        close(row.getAs[Vector]("rawPrediction" + suffix).toArray.toSeq, by.logits(x))
      )
      check("probability")(
        close(row.getAs[Vector]("probability" + suffix).toArray.toSeq, by.probabilities(x))
      )
      check("prediction")(row.getAs[Double]("prediction" + suffix) == by.prediction(x))
    }
    assert(found.map(_.getAs[Number]("id").longValue).distinct.size == expected)
  }

  private def parquet(df: DataFrame): DataFrame = {
    val folder = Files.createTempDirectory("firesteel").resolve("table").toString
    df.write.parquet(folder)
    spark.read.parquet(folder)
  }

  test("every row has its logits, its probabilities and its class") {
    assertPredicted(model.append(table).collect().toSeq)
    assertPredicted(model.append(table).select("prediction", "id").collect().toSeq)
    assertPredicted(model.append(table.repartition(40)).collect().toSeq)
  }

  test("columnar input and output give the same rows") {
    val df = parquet(table)
    assertPredicted(model.append(df).collect().toSeq)
    assertPredicted(model.append(df).drop("features").collect().toSeq)
    assertPredicted(model.append(df).select("id", "text", "probability").collect().toSeq)
    withConf("spark.sql.parquet.columnarReaderBatchSize" -> "7") {
      assertPredicted(model.append(df).drop("features").collect().toSeq)
    }
    val passed = model.append(df).select("id", "text", "prediction").collect().toSeq
    assert(passed.forall(row => row.getLong(0).toString == row.getString(1)))
  }

  test("a cache of arrays and bytes is predicted by columns, with the same rows") {
    val id = col("id")
    val df = table.select(
      id,
      col("features"),
      when(id % 3 =!= 0, array(id, lit(null), id + 1)).as("more"),
      when(id % 5 =!= 0, col("text").cast("binary")).as("bytes"),
      (id % 2 === 0).as("even"),
      when(id % 7 =!= 0, id / 3).as("third")
    )
    // The last digits of vectors depend on the rows that are predicted together.
    def all(df: DataFrame): Seq[Row] =
      df.drop("rawPrediction", "probability")
        .withColumn("bytes", hex(col("bytes")))
        .sort("id")
        .collect()
        .toSeq
    for (
      adaptive <- Seq("true", "false");
      rowsOfBatch <- Seq("10000", "7")
    )
      withConf(
        "spark.sql.adaptive.enabled" -> adaptive,
        "spark.sql.inMemoryColumnarStorage.batchSize" -> rowsOfBatch
      ) {
        val expected = all(model.append(df))
        withCache(df.repartition(3)) { cached =>
          assert(cached.count() == rows)
          val predicted = model.append(cached)
          assert(readsCache(predicted))
          assertPredicted(predicted.collect().toSeq)
          assert(all(predicted) == expected)
          assert(readsCache(predicted.select("prediction")))
          assertPredicted(predicted.select("prediction", "id").collect().toSeq)
          assertPredicted(predicted.select("id", "bytes", "probability").collect().toSeq)
          assertPredicted(model.append(cached.select("features", "id")).collect().toSeq)
          assertPredicted(predicted.filter("even").collect().toSeq, rows / 2)
          assertPredicted(predicted.limit(3).collect().toSeq, 3)
          def total(df: DataFrame): Seq[Row] = df.agg(sum("prediction")).collect().toSeq
          assert(total(predicted) == total(model.append(df)))
          givesBackMemory(assertPredicted(predicted.limit(1).collect().toSeq, 1))
        }
      }
  }

  test("a cache with strings is predicted by rows unless they are not selected") {
    withCache(table) { df =>
      assert(!readsCache(model.append(df)))
      assertPredicted(model.append(df).collect().toSeq)
      assert(readsCache(model.append(df).drop("text")))
      assertPredicted(model.append(df).drop("text").collect().toSeq)
      assert(model.append(df).filter("id < 0").drop("text").collect().isEmpty)
    }
    withCache(table.filter("id < 0")) { df =>
      assert(model.append(df).select("prediction").collect().isEmpty)
    }
  }

  /** Returns the plan that adaptive execution has come to. */
  private def executed(plan: SparkPlan): SparkPlan = plan match {
    case adaptive: AdaptiveSparkPlanExec => executed(adaptive.executedPlan)
    case stage: QueryStageExec => executed(stage.plan)
    case other => other
  }

  /** Returns true if the predictions of a query, as it is executed, read Spark's cache by columns. */
  private def readsCache(df: DataFrame): Boolean = {
    df.collect()
    executed(SqlPrivate.execution(df).executedPlan).collectFirst { case exec: PredictionExec =>
      CachedBatches.scanOfLists(exec.child).nonEmpty
    }.get
  }

  test("vectors, doubles and numeric columns are read like arrays of floats") {
    val vectors = table.withColumn("features", array_to_vector(col("features")))
    assertPredicted(model.append(vectors).collect().toSeq)
    assertPredicted(model.append(parquet(vectors)).collect().toSeq)
    val doubles = table.withColumn("features", col("features").cast("array<double>"))
    assertPredicted(model.append(doubles).collect().toSeq)
    val names = (0 until 5).map(i => s"x$i")
    val numbers = names.zipWithIndex.foldLeft(table) { case (df, (name, i)) =>
      df.withColumn(name, col("features")(i))
    }
    assertPredicted(model.append(numbers, columns = names).collect().toSeq)
    val cached = numbers.drop("features").cache()
    assertPredicted(model.append(cached, columns = names).collect().toSeq)
    cached.unpersist()
    ()
  }

  test("sparse vectors in columnar batches are predicted many rows at a time") {
    val vectors = table.withColumn("features", array_to_vector(col("features")))
    val df = parquet(vectors.coalesce(1))
    val predicted = model.append(df, format = InputFormat.Sparse).drop("features")
    assertPredicted(predicted.collect().toSeq)
    val batches =
      SqlPrivate.execution(predicted).executedPlan.collect { case exec: PredictionExec =>
        assert(exec.child.supportsColumnar)
        exec.metrics("numBatches").value
      }
    assert(batches.size == 1 && batches.head <= 4, s"${batches.mkString} native calls")
  }

  test("a self-join, a union and an aggregate of predictions are right") {
    val df = model.append(table)
    val joined = df.as("a").join(df.as("b"), col("a.id") === col("b.id"))
    val both = joined.select("a.id", "a.prediction", "b.probability").collect().toSeq
    assertPredicted(both)
    val same = df.join(df, "id").count()
    assert(same == rows)
    val union = df.filter("id < 250").union(df.filter("id >= 250"))
    assertPredicted(union.collect().toSeq)
    val counts = df.groupBy("prediction").count().collect().map(_.getLong(1)).sum
    assert(counts == rows)
  }

  test("transforms chain, and one model may follow another") {
    val second = LinearModel(2)
    val df = second.append(model.append(table), suffix = "_2")
    val found = df.collect().toSeq
    assertPredicted(found)
    assertPredicted(found, by = second, suffix = "_2")
    val again = model.append(model.append(table), suffix = "_again")
    assertPredicted(again.collect().toSeq, suffix = "_again")
  }

  test("a cached transform answers for its own weights only") {
    val df = table
    val first = model.append(df).cache()
    assertPredicted(first.collect().toSeq)
    val refitted = LinearModel(2)
    assertPredicted(refitted.append(df).collect().toSeq, by = refitted)
    val same = SqlPrivate.execution(LinearModel(1).append(df)).withCachedData
    assert(same.toString.contains("InMemoryRelation"))
    first.unpersist()
    ()
  }

  test("the rows are the same with and without adaptive execution") {
    for (adaptive <- Seq("true", "false"))
      withConf("spark.sql.adaptive.enabled" -> adaptive) {
        val other = table.select(col("id"), (col("id") % 7).as("group"))
        val df = model.append(table.repartition(5)).join(other, "id").sort("group", "id")
        assertPredicted(df.collect().toSeq)
      }
  }

  test("filters, sorts and limits give the rows they would without a model") {
    val df = model.append(table)
    assertPredicted(df.filter("id >= 400").collect().toSeq, 100)
    val ones = df.filter("prediction = 1 and id < 100").collect().toSeq
    assert(
      ones.map(_.getLong(0)).toSet == (0L until 100)
        .filter(id => model.prediction(features(id)) == 1)
        .toSet
    )
    assertPredicted(df.sort(desc("id")).limit(10).collect().toSeq, 10)
    assertPredicted(df.limit(3).collect().toSeq, 3)
    assertPredicted(df.orderBy("prediction").collect().toSeq)
  }

  test("partitions without rows and DataFrames without rows are no error") {
    assertPredicted(model.append(table.filter("id < 2").repartition(8)).collect().toSeq, 2)
    assert(model.append(table.filter("id < 0")).collect().isEmpty)
  }

  test("a stream is predicted in append mode and in the batches it is given to") {
    val folder = Files.createTempDirectory("firesteel").resolve("stream").toString
    table.write.parquet(folder)
    val stream = spark.readStream.schema(table.schema).parquet(folder)
    val query = model
      .append(stream)
      .writeStream
      .format("memory")
      .queryName("predictions")
      .outputMode("append")
      .start()
    query.processAllAvailable()
    query.stop()
    assertPredicted(spark.table("predictions").collect().toSeq)

    var seen = Seq.empty[Row]
    val handle: (DataFrame, Long) => Unit =
      (batch, _) => seen = seen ++ model.append(batch).collect()
    val batches = stream.writeStream.foreachBatch(handle).start()
    batches.processAllAvailable()
    batches.stop()
    assertPredicted(seen)
  }

  test("a global view of predictions is read by a new session") {
    model.append(table).createOrReplaceGlobalTempView("predictions")
    assertPredicted(spark.newSession().table("global_temp.predictions").collect().toSeq)
  }

  test("a null is named with its column and its row") {
    val df = table.coalesce(1).withColumn("features", when(col("id") =!= 300, col("features")))
    val cached = df.drop("text").cache()
    for (source <- Seq(df, parquet(df), cached)) {
      val error = intercept[SparkException](model.append(source).select("prediction").collect())
      val causes = Iterator.iterate[Throwable](error)(_.getCause).takeWhile(_ != null).toSeq
      val found = causes.collectFirst { case invalid: InvalidDataException => invalid }
      assert(
        found.exists(_.getMessage == "the column 'features' is null in row 300 of partition 0")
      )
    }
    assert(
      model
        .append(df)
        .filter("features is not null")
        .select("prediction")
        .collect()
        .length == rows - 1
    )
    cached.unpersist()
    ()
  }

  test("no Arrow memory is left after success, failure, a limit and a kill") {
    givesBackMemory(assertPredicted(model.append(table).collect().toSeq))
    givesBackMemory(assert(model.append(table.repartition(1)).limit(1).collect().length == 1))
    givesBackMemory {
      val fails = udf((id: Long) => if (id == 400) throw new IllegalStateException("boom") else id)
      val failing = table.withColumn("id", fails(col("id")))
      assertThrows[SparkException](model.append(failing).collect())
    }
    givesBackMemory {
      val slow = udf { (id: Long) => Thread.sleep(20); id }
      val context = spark.sparkContext
      val running = Future {
        context.setJobGroup("killed", "a transform that is killed", interruptOnCancel = true)
        model.append(table.withColumn("id", slow(col("id")))).collect()
      }
      Thread.sleep(2000)
      context.cancelJobGroup("killed")
      assertThrows[SparkException](Await.result(running, 30.seconds))
    }
  }
}
